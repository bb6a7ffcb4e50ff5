#include "models/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace samovar {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

ValueInfo Info(std::string name, ElementType type, Shape shape) {
  ValueInfo info;
  info.name = std::move(name);
  info.type = type;
  info.shape = std::move(shape);
  return info;
}

ModelSignature One(ElementType type, Shape shape) {
  const ValueInfo y = Info("y", type, shape);
  return {"m", "1", {Info("x", type, std::move(shape))}, {y}, {}};
}

template <class T>
std::vector<T> Elements(const Tensor& tensor) {
  std::vector<T> out(tensor.bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
  return out;
}

template <class T>
std::string Raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(std::data(values)), values.size() * sizeof(T)};
}

class CodecTest : public testing::Test {
 protected:
  // The tensor of the only input.
  Tensor Decoded(const ModelSignature& signature, std::string_view payload,
                 std::string_view type = "", std::string_view accept = "") {
    ModelCodec codec(signature);
    auto call = codec.Decode(type, accept, payload);
    EXPECT_TRUE(call) << payload << ": " << (call ? "" : call.error().message);
    return call ? call->inputs.front().tensor : Tensor{};
  }
  std::string Refused(const ModelSignature& signature, std::string_view payload,
                      std::string_view type = "") {
    ModelCodec codec(signature);
    auto call = codec.Decode(type, "", payload);
    EXPECT_FALSE(call) << payload;
    if (call) return "";
    EXPECT_EQ(call.error().name, "Model.InvalidInput") << payload;
    return call.error().message;
  }
  // What comes back where the model answers its input.
  std::string Echo(const ModelSignature& signature, std::string_view payload,
                   std::string_view type = "", std::string_view accept = "") {
    ModelCodec codec(signature);
    auto call = codec.Decode(type, accept, payload);
    EXPECT_TRUE(call) << payload << ": " << (call ? "" : call.error().message);
    if (!call) return "";
    auto answer = codec.Encode(*call, call->inputs);
    EXPECT_TRUE(answer) << payload << ": " << (answer ? "" : answer.error().message);
    return answer ? answer->payload : "";
  }

  const ModelSignature floats_ = One(ElementType::kFloat, {-1, 2});
  const ModelSignature wholes_ = One(ElementType::kInt64, {-1});
  const ModelSignature naturals_ = One(ElementType::kUint64, {-1});
  const ModelSignature texts_ = One(ElementType::kString, {-1});
};

TEST_F(CodecTest, ReadsEachFormOfJson) {
  const std::string_view forms[] = {
      R"({"instances": [[1, 2.5], [-3e2, 4]]})",
      R"({"instances": [{"x": [1, 2.5]}, {"x": [-300, 4]}]})",
      R"({"inputs": {"x": [[1, 2.5], [-300, 4]]}})",
      R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2.5, -300, 4]}]})",
      R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2.5], [-300, 4]]}]})",
  };
  for (std::string_view form : forms) {
    const Tensor x = Decoded(floats_, form);
    EXPECT_EQ(x.shape, (Shape{2, 2})) << form;
    EXPECT_THAT(Elements<float>(x), ElementsAre(1, 2.5f, -300, 4)) << form;
  }
}

TEST_F(CodecTest, RefusesWhatIsNoSuchInputByItsName) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({"inputs": {"x": [[1, 2, 3]]}})", R"(input "x": expected FP32[-1,2], got FP32[1,3])"},
      {R"({"inputs": {"x": [[1, 2], [3]]}})", "ragged lists: 1 items instead of 2 in dimension 1"},
      {R"({"inputs": {"x": [[1, "a"]]}})", R"(input "x": expected FP32[-1,2], got a string)"},
      {R"({"inputs": {"x": [[1, {}]]}})", R"(input "x": expected FP32[-1,2], got an object)"},
      {R"({"inputs": {"z": 1}})", R"(input "z" is not one of the model's: "x")"},
      {R"({"inputs": {}})", R"(input "x" is missing)"},
      {R"({"inputs": {"x": [[1, 2]]}, "instances": [[1, 2]]})", R"(both "instances" and "inputs")"},
      {R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [0, 2], "data": [],
           "parameters": {"binary_data_size": 0}}]})",
       R"(input "x": expected FP32[-1,2], got both "data" and "binary_data_size")"},
      {R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [0, 2],
           "parameters": {"binary_data_size": "0"}}]})",
       R"(input "x": expected FP32[-1,2], got a "binary_data_size" that is no size)"},
      {R"({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]})",
       R"(the datatype "FP64")"},
      {R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1]}]})",
       "1 values for FP32[1,2]"},
      {R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [4611686018427387904, 2],
           "data": [1]}]})",
       R"(input "x")"},
      {R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2], "data": []}]})",
       "no list of sizes"},
      {R"({"instances": 1})", "\"instances\" must be a list of rows"},
      {R"({"instances": [[1, 2]], "outputs": ["z"]})", R"(output "z" is not one of the model's)"},
      {"[]", "must be an object"},
      {"{", "no JSON"},
      {R"({"inputs": {"x": [[1, 01]]}})", "no JSON"},
  };
  for (const auto& [payload, words] : cases) {
    EXPECT_THAT(Refused(floats_, payload), HasSubstr(words)) << payload;
  }
}

TEST_F(CodecTest, RefusesWholeNumbersThatTheTypeCannotHoldByTheInputsName) {
  EXPECT_THAT(
      Elements<std::int64_t>(Decoded(
          wholes_, R"({"inputs": {"x": [9223372036854775807, -9223372036854775808, 1e3]}})")),
      ElementsAre(std::numeric_limits<std::int64_t>::max(),
                  std::numeric_limits<std::int64_t>::min(), 1000));
  EXPECT_THAT(
      Elements<std::uint64_t>(Decoded(naturals_, R"({"inputs": {"x": [18446744073709551615]}})")),
      ElementsAre(std::numeric_limits<std::uint64_t>::max()));
  for (std::string_view number :
       {"9223372036854775808", "-9223372036854775809", "18446744073709551616",
        "123456789012345678901234567890", "-123456789012345678901234567890", "1e30", "0.5"}) {
    for (std::string form : {R"({"inputs": {"x": [7, %]}})", R"({"instances": [%]})",
                             R"({"inputs": [{"name": "x", "datatype": "INT64", "shape": [1],
                                 "data": [%]}]})"}) {
      form.replace(form.find('%'), 1, number);
      EXPECT_THAT(Refused(wholes_, form),
                  AllOf(HasSubstr(R"(input "x": expected INT64[-1], got the value )"),
                        HasSubstr("which INT64 cannot hold")))
          << form;
    }
  }
  EXPECT_THAT(Refused(naturals_, R"({"instances": [18446744073709551616]})"),
              HasSubstr("which UINT64 cannot hold"));
  EXPECT_THAT(Refused(naturals_, R"({"instances": [-1]})"), HasSubstr("which UINT64 cannot hold"));
  EXPECT_THAT(Refused(wholes_, "9223372036854775808\n", "text/csv"), HasSubstr(R"(input "x")"));
  EXPECT_THAT(Refused(wholes_, "-9223372036854775809\n", "text/csv"), HasSubstr(R"(input "x")"));
}

TEST_F(CodecTest, TakesLargeWholeNumbersAsFloats) {
  const Tensor x = Decoded(
      floats_, R"({"instances": [[123456789012345678901234567890, -18446744073709551616]]})");
  EXPECT_THAT(Elements<float>(x), ElementsAre(123456789012345678901234567890.0f, -0x1p64f));
  EXPECT_THAT(Decoded(texts_, R"({"instances": ["123456789012345678901234567890"]})").strings,
              ElementsAre("123456789012345678901234567890"));
}

TEST_F(CodecTest, KeepsNumbersToTheLastDigit) {
  const ModelSignature doubles = One(ElementType::kDouble, {-1});
  EXPECT_EQ(Echo(doubles, R"({"instances": [0.1, 1e308, 5e-324, -0.0, 123456789012345680]})"),
            R"({"predictions":[0.1,1e+308,5e-324,-0,123456789012345680]})");
  EXPECT_EQ(Echo(doubles, R"({"instances": ["NaN", "Infinity", "-Infinity", null]})"),
            R"({"predictions":["NaN","Infinity","-Infinity","NaN"]})");
  EXPECT_EQ(Echo(wholes_, R"({"instances": [9223372036854775807]})"),
            R"({"predictions":[9223372036854775807]})");
}

TEST_F(CodecTest, ReadsBinaryTensorsBehindTheJson) {
  const std::string_view kType = "application/octet-stream; inference-header-content-length=";
  const auto body = [](std::string_view datatype, std::string_view shape, std::size_t size) {
    return R"({"inputs":[{"name":"x","datatype":")" + std::string(datatype) + R"(","shape":)" +
           std::string(shape) + R"(,"parameters":{"binary_data_size":)" + std::to_string(size) +
           "}}]}";
  };
  const auto type = [&](const std::string& json) {
    return std::string(kType) + std::to_string(json.size());
  };
  std::string json = body("FP32", "[1,2]", 8);
  EXPECT_THAT(Elements<float>(Decoded(floats_, json + Raw({1.5f, -2.0f}), type(json))),
              ElementsAre(1.5f, -2));
  EXPECT_THAT(Refused(floats_, json + Raw({1.5f}), type(json)), HasSubstr("4 bytes are left"));
  EXPECT_THAT(Refused(floats_, json, std::string(kType) + "99999"), HasSubstr("99999"));
  EXPECT_THAT(Refused(floats_, json, std::string(kType) + "-1"), HasSubstr("-1"));
  json = body("FP32", "[2,2]", 8);
  EXPECT_THAT(Refused(floats_, json + Raw({1.5f, -2.0f}), type(json)),
              HasSubstr("8 bytes for FP32[2,2], which has 16"));
  json = body("BYTES", "[2]", 11);
  const std::string strings = Raw({3u}) + std::string("a\0b", 3) + Raw({0u});
  EXPECT_THAT(Decoded(texts_, json + strings, type(json)).strings,
              ElementsAre(std::string("a\0b", 3), ""));
  EXPECT_THAT(Refused(texts_, json + Raw({3u, 0u}) + "abc", type(json)), HasSubstr(R"(input "x")"));
  EXPECT_THAT(Refused(texts_, json + Raw({~0u, 0u}) + "abc", type(json)), HasSubstr("cut off"));
  json = body("BYTES", "[1000000000]", 4);
  EXPECT_THAT(Refused(texts_, json + Raw({0u}), type(json)), HasSubstr("too few strings"));
}

TEST_F(CodecTest, ReadsAndWritesCsv) {
  EXPECT_EQ(Echo(floats_, "1,2.5\r\n\n 3 ,-inf\n,1e-3\n", "text/csv"),
            "1,2.5\n3,-Infinity\nNaN,0.001\n");
  EXPECT_EQ(Echo(floats_, "a,b\n1,2", "text/csv; header=present"), "1,2\n");
  EXPECT_EQ(Echo(texts_, "\"a,\"\"b\"\"\n\"\nplain\n", "text/csv"), "\"a,\"\"b\"\"\n\"\nplain\n");
  EXPECT_EQ(Echo(floats_, R"({"instances": [[1, 2]]})", "", "text/csv"), "1,2\n");
  EXPECT_THAT(Refused(floats_, "", "text/csv"), HasSubstr("no rows"));
  EXPECT_THAT(Refused(floats_, "1,2\n3\n", "text/csv"), HasSubstr("line 2 of the CSV"));
  EXPECT_THAT(Refused(floats_, "1,2,3\n", "text/csv"), HasSubstr("got 3"));
  EXPECT_THAT(Refused(floats_, "1,x\n", "text/csv"), HasSubstr(R"(input "x": "x" is no FP32)"));
  EXPECT_THAT(Refused(texts_, "\"a\n", "text/csv"), HasSubstr("a quoted field does not end"));
}

std::string Npy(std::string_view descr, std::string_view order, std::string_view shape,
                std::string_view data) {
  std::string head = "{'descr': '" + std::string(descr) +
                     "', 'fortran_order': " + std::string(order) +
                     ", 'shape': " + std::string(shape) + ", }\n";
  const auto size = static_cast<std::uint16_t>(head.size());
  return std::string("\x93NUMPY\x01\x00", 8) + Raw({size}) + head + std::string(data);
}

TEST_F(CodecTest, ReadsAndWritesNpy) {
  const std::string_view kType = "application/x-npy";
  const std::string row = Raw({1.0f, 2.0f, 3.0f, 4.0f});
  EXPECT_THAT(Elements<float>(Decoded(floats_, Npy("<f4", "False", "(2, 2)", row), kType)),
              ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Elements<float>(Decoded(floats_, Npy("<f4", "True", "(2, 2)", row), kType)),
              ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(
      Elements<float>(Decoded(floats_, Npy("<f8", "False", "(1, 2)", Raw({0.5, 1e300})), kType)),
      ElementsAre(0.5f, std::numeric_limits<float>::infinity()));
  EXPECT_THAT(Elements<std::int64_t>(Decoded(
                  wholes_, Npy(">i2", "False", "(2,)", std::string("\x01\x02\xff\xfe", 4)), kType)),
              ElementsAre(258, -2));
  const ModelSignature halves = One(ElementType::kBfloat16, {-1});  // NumPy has none
  EXPECT_THAT(Elements<std::uint16_t>(
                  Decoded(halves, Npy("<f4", "False", "(2,)", Raw({1.0f, -2.0f})), kType)),
              ElementsAre(0x3f80, 0xc000));
  EXPECT_THAT(Refused(wholes_, Npy("<f8", "False", "(1,)", Raw({0.5})), kType),
              HasSubstr("INT64 cannot hold"));
  EXPECT_THAT(Refused(wholes_, Npy("<u8", "False", "(1,)", Raw({~std::uint64_t{0}})), kType),
              HasSubstr("INT64 cannot hold"));
  for (const std::string& bad :
       {std::string(), std::string("\x93NUMPY\x01\x00", 8), Npy("<f4", "False", "(2, 2)", "abc"),
        Npy("<f4", "False", "(4611686018427387904, 4)", ""), Npy("<f4", "False", "(-1, 2)", ""),
        Npy("|O", "False", "(1,)", "12345678"), Npy("<f99", "False", "(1, 2)", row),
        Npy("<U4", "False", "(1, 2)", Raw({0, 0, 0, 0, 0, 0, 0, 0}))}) {
    Refused(floats_, bad, kType);
  }
  const std::string back =
      Echo(floats_, Npy("<f4", "False", "(2, 2)", row), kType, "application/x-npy");
  EXPECT_EQ(back.substr(back.size() - row.size()), row);
  EXPECT_THAT(back, HasSubstr("'shape': (2, 2)"));
}

}  // namespace
}  // namespace samovar
