'use strict';

exports.CollectionError = class CollectionError extends Error {
  constructor(message, code) {
    super(message);
    this.name = 'CollectionError';
    this.code = code;
  }
};
