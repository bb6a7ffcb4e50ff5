#pragma once
// ModelCodec: payloads of every form to calls of a model, and its outputs to answers.
//
// Why      The same model is reached through several doors; one codec makes their answers the same.
// How      docs/models.md lists the forms. The form of the answer follows the request's, or the
//          first known type in `accept`.
// Errors   kInvalid "Model.InvalidInput" for what the request got wrong; kUnsupported
//          "Model.UnsupportedMediaType"; kUnsupported "Model.UnsupportedOutput" for an output that
//          the answer's form cannot carry.
// Threads  One at a time: it keeps its parser.

#include <memory>
#include <string_view>

#include "models/model_call.h"
#include "models/signature.h"

namespace samovar {

class ModelCodec {
 public:
  explicit ModelCodec(const ModelSignature& signature);
  ~ModelCodec();

  Result<ModelCall> Decode(std::string_view content_type, std::string_view accept,
                           std::string_view payload);
  // `outputs` beside call.outputs.
  Result<ModelAnswer> Encode(const ModelCall& call, const std::vector<Value>& outputs) const;

  // A value of input `index` from JSON text, as samovar.yaml gives defaults.
  Result<Value> DecodeDefault(const ValueInfo& info, std::string_view json);

 private:
  struct Parser;
  Result<ModelCall> DecodeJson(std::string_view payload, std::string_view tail);
  Result<ModelCall> DecodeHttpEvent(std::string_view body, bool base64);

  const ModelSignature& signature_;
  std::unique_ptr<Parser> parser_;
};

}  // namespace samovar
