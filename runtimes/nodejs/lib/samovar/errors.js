'use strict';

class CollectionError extends Error {
  constructor(message, code) {
    super(message);
    this.name = 'CollectionError';
    this.code = code;
  }
}

// What a function without rights is told of any collection, as of one that there is not.
function noneVisible(name) {
  return new CollectionError(`there is no collection ${name} that may be seen here (this function may see none)`, 'NoSuchCollection');
}

module.exports = { CollectionError, noneVisible };
