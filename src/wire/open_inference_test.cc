#include "wire/open_inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "wire/infer_message.h"

namespace samovar {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

TEST(OpenInference, FindsTheActionModelAndVersionInAPath) {
  struct Case {
    const char* method;
    const char* path;
    InferenceAction action;
    const char* model;
    const char* version;
  };
  const Case cases[] = {
      {"GET", "/v2", InferenceAction::kServerMetadata, "", ""},
      {"GET", "/v2/", InferenceAction::kServerMetadata, "", ""},
      {"GET", "/v2/health/live", InferenceAction::kServerLive, "", ""},
      {"GET", "/v2/health/ready", InferenceAction::kServerReady, "", ""},
      {"GET", "/v2/models/f", InferenceAction::kModelMetadata, "f", ""},
      {"GET", "/v2/models/f/versions/live", InferenceAction::kModelMetadata, "f", "live"},
      {"GET", "/v2/models/f/ready", InferenceAction::kModelReady, "f", ""},
      {"GET", "/v2/models/f/config", InferenceAction::kModelConfig, "f", ""},
      {"POST", "/v2/models/f/infer", InferenceAction::kInfer, "f", ""},
      {"POST", "/v2/models/f/versions/%24LATEST/infer", InferenceAction::kInfer, "f", "$LATEST"},
      {"POST", "/v2/repository/index", InferenceAction::kRepositoryIndex, "", ""},
      {"POST", "/v2/repository/models/f/load", InferenceAction::kRepositoryLoad, "f", ""},
      {"POST", "/v2/repository/models/f/unload", InferenceAction::kRepositoryUnload, "f", ""},
  };
  for (const Case& c : cases) {
    auto route = MatchInferenceRoute(c.method, c.path);
    ASSERT_TRUE(route && *route) << c.path;
    EXPECT_EQ((*route)->action, c.action) << c.path;
    EXPECT_EQ((*route)->model, c.model) << c.path;
    EXPECT_EQ((*route)->version, c.version) << c.path;
  }
}

TEST(OpenInference, TellsWrongPathsAndMethodsFromPathsOfOthers) {
  EXPECT_FALSE(MatchInferenceRoute("GET", "/v1"));
  EXPECT_FALSE(MatchInferenceRoute("GET", "/v2x"));
  EXPECT_EQ(MatchInferenceRoute("GET", "/v2/what").value().error().code, Code::kNotFound);
  EXPECT_EQ(MatchInferenceRoute("GET", "/v2/models/f/infer").value().error().code, Code::kInvalid);
  EXPECT_EQ(MatchInferenceRoute("GET", "/v2/models/%2").value().error().code, Code::kInvalid);
}

TEST(OpenInference, SaysTheHeadersLengthInTheContentType) {
  EXPECT_EQ(InferenceBodyType({}, 10).value(), "");
  Fields headers{{"Inference-Header-Content-Length", "7"}};
  EXPECT_EQ(InferenceBodyType(headers, 7).value(),
            "application/octet-stream; inference-header-content-length=7");
  for (auto text : {"8", "-1", "x", "7 "}) {
    headers[0].second = text;
    EXPECT_FALSE(InferenceBodyType(headers, 7)) << text;
  }
  Fields packed{{"Content-Encoding", "gzip"}};
  EXPECT_EQ(InferenceBodyType(packed, 7).error().code, Code::kUnsupported);
  EXPECT_EQ(BinaryHeaderLength(BinaryTensorType(12)), 12u);
  for (auto type : {"", "application/json", "application/octet-stream",
                    "text/plain; inference-header-content-length=7",
                    "application/octet-stream; inference-header-content-length=x"}) {
    EXPECT_FALSE(BinaryHeaderLength(type)) << type;
  }
}

TEST(OpenInference, MakesAModelConfigOfMetadata) {
  auto metadata = json::parse(R"({"name":"f","platform":"onnxruntime_onnx",
    "inputs":[{"name":"X","datatype":"FP32","shape":[-1,4]}],
    "outputs":[{"name":"Y","datatype":"BYTES","shape":[-1]}]})");
  auto config = ModelConfigOf(metadata.as_object());
  EXPECT_EQ(json::serialize(config.at("input")),
            R"([{"name":"X","data_type":"TYPE_FP32","dims":[-1,4]}])");
  EXPECT_EQ(config.at("output").at(0).at("data_type").as_string(), "TYPE_STRING");
  EXPECT_EQ(config.at("platform").as_string(), "onnxruntime_onnx");
}

TEST(OpenInference, TellsErrorsInItsOwnForm) {
  auto reply = InferenceErrorReply({Code::kNotFound, "unknown model 'x'"}, "id");
  EXPECT_EQ(reply.status, 404u);
  EXPECT_EQ(reply.body, R"({"error":"unknown model 'x'"})");
  EXPECT_EQ(InferenceErrorReply({Code::kThrottled, ""}, "id").status, 429u);
}

TEST(InferMessage, ComesBackFromBinaryAsItWent) {
  InferMessage request{.id = "7"};
  request.inputs.push_back({"X", "FP32", {1, 2}, {}, std::string("\0\0\x80\x3f\0\0\0\x40", 8)});
  request.inputs.push_back({"S", "BYTES", {1}, {}, std::string("\x02\0\0\0ab", 6)});
  request.outputs.push_back({"Y", "", {}, {}, ""});
  auto body = EncodeBinaryRequest(request);
  auto read = DecodeInferBody(body.content_type, body.body);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->id, "7");
  ASSERT_EQ(read->inputs.size(), 2u);
  EXPECT_EQ(read->inputs[0].raw, request.inputs[0].raw);
  EXPECT_EQ(read->inputs[0].shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(read->inputs[1].raw, request.inputs[1].raw);
  EXPECT_TRUE(read->outputs[0].parameters.at("binary_data").as_bool());
}

TEST(InferMessage, SaysTheSameInJson) {
  InferMessage request;
  request.inputs.push_back({"X", "INT8", {2}, {}, std::string("\x01\xff", 2)});
  auto body = EncodeJsonRequest(request, Bytes::MiB(1));
  ASSERT_TRUE(body);
  EXPECT_EQ(body->body, R"({"inputs":[{"name":"X","shape":[2],"datatype":"INT8","data":[1,-1]}]})");
  auto read = DecodeInferBody(body->content_type, body->body);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->inputs[0].raw, request.inputs[0].raw);
}

TEST(InferMessage, SaysManyValuesAndAllElseInJson) {
  InferMessage request{.id = "7"};
  std::string texts;
  for (int i = 0; i < 5000; ++i) texts += std::string("\x03\0\0\0abc", 7);
  request.inputs.push_back({"X", "INT8", {20'000}, {{"a", 1}}, std::string(20'000, '\x05')});
  request.inputs.push_back({"S", "BYTES", {5000}, {}, texts});
  request.inputs.push_back({"N", "FP32", {0}, {}, ""});
  request.outputs.push_back({"Y", "", {}, {}, ""});
  auto body = EncodeJsonRequest(request, Bytes::MiB(1));
  ASSERT_TRUE(body) << body.error().message;
  auto read = DecodeInferBody(body->content_type, body->body);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->id, "7");
  ASSERT_EQ(read->inputs.size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(read->inputs[i].raw, request.inputs[i].raw) << i;
  EXPECT_EQ(read->inputs[0].parameters, (boost::json::object{{"a", 1}}));
  ASSERT_EQ(read->outputs.size(), 1u);
  EXPECT_EQ(read->outputs[0].name, "Y");
}

TEST(InferMessage, RefusesWhatIsTooLargeInJsonAndWhatIsTorn) {
  InferMessage request;
  request.inputs.push_back({"X", "INT8", {20'000}, {}, std::string(20'000, '\x05')});
  auto large = EncodeJsonRequest(request, Bytes::KiB(20));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kTooLarge);
  EXPECT_TRUE(large.error().message.starts_with("X: ")) << large.error().message;
  const std::string torn(20'001, '\0');
  for (const char* datatype : {"INT16", "FP32", "BYTES"}) {
    request.inputs[0] = {"X", datatype, {10'000}, {}, torn};
    auto refused = EncodeJsonRequest(request, Bytes::MiB(1));
    ASSERT_FALSE(refused) << datatype;
    EXPECT_EQ(refused.error().code, Code::kInvalid) << datatype;
  }
  request.inputs[0].datatype = "INT16";
  EXPECT_EQ(EncodeJsonRequest(request, Bytes::MiB(1)).error().message,
            "X: 20001 bytes are no whole number of INT16 elements");
}

TEST(InferMessage, NamesTheTensorAtFault) {
  struct Case {
    const char* type;
    const char* body;
    const char* message;
  };
  const Case cases[] = {
      {"", "[]", "not a JSON object"},
      {"", R"({"inputs":{}})", "inputs must be a list"},
      {"", R"({"inputs":[1]})", "must be an object"},
      {"", R"({"inputs":[{"name":"X","shape":["a"]}]})", "X: shape must hold whole numbers"},
      {"", R"({"inputs":[{"name":"X","datatype":"INT8","data":[300]}]})",
       "X: expected values of INT8, got 300"},
      {"", R"({"inputs":[{"name":"X","datatype":"FP33","data":[3]}]})", "X: 'FP33' is no datatype"},
      {"", R"({"inputs":[{"name":"X","datatype":"FP32","parameters":{"binary_data_size":4}}]})",
       "X: binary_data_size says 4, and 0 bytes are left"},
      {"",
       R"({"inputs":[{"name":"X","datatype":"FP32","data":[1],"parameters":{"binary_data_size":0}}]})",
       "X: both data and binary_data_size are given"},
      {"application/octet-stream; inference-header-content-length=2", "{}xy",
       "2 bytes follow the last binary tensor"},
      {"application/octet-stream; inference-header-content-length=5", "{}", "longer than the body"},
  };
  for (const Case& c : cases) {
    auto read = DecodeInferBody(c.type, c.body);
    ASSERT_FALSE(read) << c.body;
    EXPECT_THAT(read.error().message, HasSubstr(c.message));
  }
}

TEST(TensorValues, GoToJsonAndBackInEveryDatatype) {
  struct Case {
    const char* datatype;
    const char* data;
    std::size_t bytes;
  };
  const Case cases[] = {
      {"BOOL", "[true,false]", 2},
      {"INT8", "[-128,127]", 2},
      {"UINT8", "[0,255]", 2},
      {"INT16", "[-32768,32767]", 4},
      {"UINT16", "[0,65535]", 4},
      {"INT32", "[-2147483648,2147483647]", 8},
      {"UINT32", "[0,4294967295]", 8},
      {"INT64", "[-9007199254740993,1]", 16},
      {"UINT64", "[0,18446744073709551615]", 16},
      {"FP16", "[0E0,-1.5E0,6.5504E4,6.103515625E-5]", 8},
      {"BF16", "[1E0,-2E0]", 4},
      {"FP32", "[1.5E0,-2.5E-1]", 8},
      {"FP64", "[1E-1,2E0]", 16},
      {"BYTES", R"(["ab","","\u00e9"])", 16},
  };
  for (const Case& c : cases) {
    auto data = json::parse(c.data);
    auto raw = TensorBytes(c.datatype, data);
    ASSERT_TRUE(raw) << c.datatype;
    EXPECT_EQ(raw->size(), c.bytes) << c.datatype;
    auto values = TensorValues(c.datatype, *raw);
    ASSERT_TRUE(values) << c.datatype;
    EXPECT_EQ(*values, data.as_array()) << c.datatype << " " << json::serialize(*values);
  }
}

TEST(TensorValues, RoundsHalvesToNearestEven) {
  struct Case {
    double value;
    const char* raw;
  };
  for (auto& c : {Case{1.0, "\x00\x3c"},
                  {65520, "\x00\x7c"},
                  {65519, "\xff\x7b"},
                  {1.00048828125, "\x00\x3c"},
                  {1.00146484375, "\x02\x3c"},
                  {6.103515625e-05, "\x00\x04"},
                  {-0.0, "\x00\x80"},
                  {2e-8, "\x00\x00"}}) {
    EXPECT_EQ(TensorBytes("FP16", json::array{c.value}).value(), std::string(c.raw, 2)) << c.value;
  }
}

TEST(TensorValues, RefuseTornBytes) {
  EXPECT_FALSE(TensorValues("FP32", "abc"));
  EXPECT_FALSE(TensorValues("BYTES", std::string_view("\x05\0\0\0ab", 6)));
  EXPECT_FALSE(TensorValues("BYTES", std::string_view("\x01\0\0\0\xff", 5)));
  EXPECT_FALSE(TensorBytes("INT8", json::array{"a"}));
  EXPECT_FALSE(TensorBytes("BOOL", json::array{2}));
  EXPECT_EQ(TensorBytes("FP32", json::parse("[[1,2],[3,4]]")).value().size(), 16u);
}

}  // namespace
}  // namespace samovar
