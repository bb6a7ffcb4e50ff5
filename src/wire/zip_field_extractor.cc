#include "wire/zip_field_extractor.h"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <optional>
#include <vector>

#include "wire/base64_stream.h"

namespace samovar {
namespace json = boost::json;
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxKey = 4096;
constexpr std::string_view kNotJson = "Could not parse request body into json: ";

Error Malformed(std::string_view why) {
  return {Code::kInvalid, std::string(kNotJson) + std::string(why),
          "InvalidRequestContentException"};
}

void AppendEscaped(std::string& out, std::string_view text) {
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
}

std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> keys;
  while (true) {
    std::size_t dot = path.find('.');
    keys.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return keys;
    path.remove_prefix(dot + 1);
  }
}

// Takes the parser's events: writes all but the package to `rest`, the package to the sink.
class Splitter {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = kMaxKey;
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  Splitter(std::string_view path, Bytes max_rest, ZipFieldExtractor::Sink sink)
      : path_(SplitPath(path)), max_rest_(max_rest), sink_(std::move(sink)) {}

  std::string rest;
  std::optional<Error> failure;
  bool found = false;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& e) {
    bool on_path = levels_.empty() || (levels_.back().on_path && next_is_step_);
    BeginValue();
    rest += '{';
    levels_.push_back({.on_path = on_path});
    return Bounded(e);
  }
  bool on_object_end(std::size_t, json::error_code& e) { return End('}', e); }
  bool on_array_begin(json::error_code& e) {
    BeginValue();
    rest += '[';
    levels_.push_back({.on_path = false});
    return Bounded(e);
  }
  bool on_array_end(std::size_t, json::error_code& e) { return End(']', e); }

  bool on_key_part(json::string_view text, std::size_t, json::error_code&) {
    key_ += std::string_view(text);
    return true;
  }
  bool on_key(json::string_view text, std::size_t, json::error_code&) {
    key_ += std::string_view(text);
    has_key_ = true;
    std::size_t depth = levels_.size();
    bool step = levels_.back().on_path && depth <= path_.size() && key_ == path_[depth - 1];
    next_is_zip_ = step && depth == path_.size();
    next_is_step_ = step && depth < path_.size();
    return true;
  }

  bool on_string_part(json::string_view text, std::size_t, json::error_code& e) {
    return String(text, false, e);
  }
  bool on_string(json::string_view text, std::size_t, json::error_code& e) {
    return String(text, true, e);
  }
  bool on_number_part(json::string_view text, json::error_code& e) { return Raw(text, false, e); }
  bool on_int64(std::int64_t, json::string_view text, json::error_code& e) {
    return Raw(text, true, e);
  }
  bool on_uint64(std::uint64_t, json::string_view text, json::error_code& e) {
    return Raw(text, true, e);
  }
  bool on_double(double, json::string_view text, json::error_code& e) { return Raw(text, true, e); }
  bool on_bool(bool value, json::error_code& e) { return Raw(value ? "true" : "false", true, e); }
  bool on_null(json::error_code& e) {
    if (!next_is_zip_) return Raw("null", true, e);
    DropKey();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  struct Level {
    bool on_path;       // an object whose members may be the next step of the path
    bool empty = true;  // nothing written in it yet
  };

  bool Stop(Error error, json::error_code& e) {
    failure = std::move(error);
    e = boost::system::errc::make_error_code(boost::system::errc::operation_canceled);
    return false;
  }

  bool Bounded(json::error_code& e) {
    if (rest.size() <= max_rest_.count) return true;
    return Stop(
        {Code::kTooLarge,
         fmt::format("Request must be smaller than {} bytes, its package aside", max_rest_.count),
         "RequestEntityTooLargeException"},
        e);
  }

  void DropKey() {
    key_.clear();
    has_key_ = next_is_zip_ = next_is_step_ = false;
  }

  // The comma and key before a value.
  void BeginValue() {
    if (!levels_.empty()) {
      if (!levels_.back().empty) rest += ',';
      levels_.back().empty = false;
    }
    if (has_key_) {
      rest += '"';
      AppendEscaped(rest, key_);
      rest += "\":";
    }
    DropKey();
  }

  bool End(char bracket, json::error_code& e) {
    levels_.pop_back();
    rest += bracket;
    return Bounded(e);
  }

  bool Raw(std::string_view text, bool last, json::error_code& e) {
    if (!in_value_) BeginValue();
    in_value_ = !last;
    rest += text;
    return Bounded(e);
  }

  bool String(std::string_view text, bool last, json::error_code& e) {
    if (next_is_zip_) return Zip(text, last, e);
    if (!in_value_) {
      BeginValue();
      rest += '"';
    }
    in_value_ = !last;
    AppendEscaped(rest, text);
    if (last) rest += '"';
    return Bounded(e);
  }

  bool Zip(std::string_view text, bool last, json::error_code& e) {
    if (!in_value_ && found) return Stop(Malformed("the package is there twice"), e);
    found = true;
    in_value_ = !last;
    decoded_.clear();
    if (!base64_.Feed(text, decoded_) || (last && !base64_.AtEnd())) {
      return Stop(Malformed(fmt::format("{} is not base64", path_.back())), e);
    }
    if (!decoded_.empty()) {
      auto taken = sink_(decoded_);
      if (!taken) return Stop(std::move(taken).error(), e);
    }
    if (last) DropKey();
    return true;
  }

  std::vector<std::string> path_;
  Bytes max_rest_;
  ZipFieldExtractor::Sink sink_;
  std::vector<Level> levels_;
  std::string key_;
  bool has_key_ = false;
  bool next_is_zip_ = false;   // the coming value is the package
  bool next_is_step_ = false;  // the coming object is one step nearer to it
  bool in_value_ = false;      // within a string or number that comes in parts
  Base64Stream base64_;
  std::string decoded_;
};

json::parse_options Options() {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  return options;
}

}  // namespace

struct ZipFieldExtractor::State {
  State(std::string_view path, Bytes max_rest, Sink sink)
      : parser(Options(), path, max_rest, std::move(sink)) {}

  json::basic_parser<Splitter> parser;
  bool began = false;

  Result<void> Check(const json::error_code& error) {
    if (!error) return {};
    if (parser.handler().failure) return std::unexpected(*parser.handler().failure);
    return std::unexpected(Malformed(error.message()));
  }
};

ZipFieldExtractor::ZipFieldExtractor(std::string_view path, Bytes max_rest, Sink sink)
    : state_(std::make_unique<State>(path, max_rest, std::move(sink))) {}
ZipFieldExtractor::~ZipFieldExtractor() = default;

Result<void> ZipFieldExtractor::Feed(std::string_view piece) {
  if (piece.empty()) return {};
  state_->began = true;
  json::error_code error = state_->parser.last_error();
  if (error) return state_->Check(error);
  std::size_t used = state_->parser.write_some(true, piece.data(), piece.size(), error);
  if (!error && used < piece.size()) {
    error = json::error::extra_data;
    state_->parser.fail(error);
  }
  return state_->Check(error);
}

Result<std::string> ZipFieldExtractor::Finish() {
  if (!state_->began) return std::string();
  json::error_code error = state_->parser.last_error();
  if (!error && !state_->parser.done()) state_->parser.write_some(false, nullptr, 0, error);
  TRY(state_->Check(error));
  return std::move(state_->parser.handler().rest);
}

bool ZipFieldExtractor::FoundZip() const { return state_->parser.handler().found; }

std::string_view ZipPathOf(std::string_view operation) {
  if (operation == "CreateFunction") return "Code.ZipFile";
  if (operation == "UpdateFunctionCode") return "ZipFile";
  if (operation == "PublishLayerVersion") return "Content.ZipFile";
  return {};
}

void PutStagedPath(std::string_view operation, std::string staged_path, json::object& input) {
  std::string_view path = ZipPathOf(operation);
  std::size_t dot = path.find('.');
  json::object* at = &input;
  if (dot != std::string_view::npos) {
    json::value& step = input[path.substr(0, dot)];
    at = step.is_object() ? &step.get_object() : &step.emplace_object();
  }
  (*at)["StagedPath"] = std::move(staged_path);
}

}  // namespace samovar
