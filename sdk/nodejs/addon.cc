// samovar_collections.node: the C library (sdk/c) for Node.js, as a Node-API module.
//
// Why      A search over a socket takes longer than the search. In place nothing is copied and no
//          other process is woken. What functions see is runtimes/nodejs/lib/samovar/index.js.
// How      Handles are externals. A matrix is an ArrayBuffer on the shared memory, which keeps its
//          snapshot. What is written there stays in this process (the mapping is private).
// Errors   Throws an Error with the `code` of a CollectionError.
// Threads  Each environment (the main thread, a worker) has handles of its own.
// Source   https://nodejs.org/api/n-api.html, version 8, which every Node.js from 18 on has.
#include <node_api.h>
#include <sys/mman.h>

#include <memory>
#include <string>
#include <vector>

#include "samovar_collections.h"

namespace {

using Collection = std::shared_ptr<samovar_collection>;

// A snapshot keeps the collection that it is of.
struct Held {
  Collection owner;
  std::shared_ptr<samovar_snapshot> snapshot;
};

constexpr const char* kClosed = "the snapshot is closed";
constexpr std::size_t kMaxHits = 10'000;

napi_value Throw(napi_env env, const char* code, const std::string& message) {
  napi_throw_error(env, code, message.c_str());
  return nullptr;
}

napi_value Throw(napi_env env, int code, const samovar_error& error) {
  static constexpr const char* kCodes[] = {"",        "Invalid",     "NoSuchCollection", "Expired",
                                           "Timeout", "Unavailable", "ReadOnly"};
  return Throw(env, kCodes[code], error.message);
}

napi_value Number(napi_env env, double number) {
  napi_value out = nullptr;
  napi_create_double(env, number, &out);
  return out;
}

napi_value Text(napi_env env, const char* data, std::size_t size) {
  napi_value out = nullptr;
  napi_create_string_utf8(env, size == 0 ? "" : data, size, &out);
  return out;
}

void Set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value Object(napi_env env) {
  napi_value out = nullptr;
  napi_create_object(env, &out);
  return out;
}

// What a function was called with; what is not of the kind asked for reads as its zero.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
  }

  template <class T>
  T* Handle(std::size_t i) const {
    napi_valuetype kind = napi_undefined;
    void* out = nullptr;
    napi_typeof(env_, values_[i], &kind);
    if (kind == napi_external) napi_get_value_external(env_, values_[i], &out);
    return static_cast<T*>(out);
  }

  double Real(std::size_t i) const {
    double out = 0;
    napi_get_value_double(env_, values_[i], &out);
    return out;
  }

  std::string String(std::size_t i) const {
    std::size_t size = 0;
    if (napi_get_value_string_utf8(env_, values_[i], nullptr, 0, &size) != napi_ok) return {};
    std::string out(size, '\0');
    napi_get_value_string_utf8(env_, values_[i], out.data(), size + 1, &size);
    return out;
  }

  // A Float32Array's numbers, in place.
  std::pair<const float*, std::size_t> Floats(std::size_t i) const {
    napi_typedarray_type kind = napi_int8_array;
    std::size_t size = 0;
    void* data = nullptr;
    if (napi_get_typedarray_info(env_, values_[i], &kind, &size, &data, nullptr, nullptr) !=
            napi_ok ||
        kind != napi_float32_array) {
      return {nullptr, 0};
    }
    return {static_cast<const float*>(data), size};
  }

 private:
  napi_env env_;
  std::size_t count_ = 6;
  napi_value values_[6] = {};
};

template <class T>
napi_value External(napi_env env, std::unique_ptr<T> made) {
  napi_value out = nullptr;
  const auto drop = [](napi_env, void* data, void*) { delete static_cast<T*>(data); };
  if (napi_create_external(env, made.get(), drop, nullptr, &out) == napi_ok) made.release();
  return out;
}

// open(name): { handle, dimension, metric, storage }
napi_value Open(napi_env env, napi_callback_info info) {
  const std::string name = Arguments(env, info).String(0);
  if (name.find('\0') != std::string::npos) {  // where C would stop reading
    return Throw(env, "NoSuchCollection", "there is no such collection: its name has a NUL");
  }
  samovar_collection* opened = nullptr;
  samovar_error error = {};
  const int code = samovar_collection_open(nullptr, name.c_str(), &opened, &error);
  if (code != SAMOVAR_OK) return Throw(env, code, error);
  napi_value out = Object(env);
  Set(env, out, "dimension", Number(env, samovar_collection_dimension(opened)));
  Set(env, out, "metric", Number(env, samovar_collection_metric(opened)));
  Set(env, out, "storage", Number(env, samovar_collection_storage(opened)));
  auto kept = std::make_unique<Collection>(opened, samovar_collection_close);
  Set(env, out, "handle", External(env, std::move(kept)));
  return out;
}

// take(collection, min_generation): { handle, generation }; does not wait
napi_value Take(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* collection = arguments.Handle<Collection>(0);
  if (!collection) return Throw(env, "Invalid", "expected a collection");
  samovar_snapshot* taken = nullptr;
  samovar_error error = {};
  const auto least = static_cast<std::uint64_t>(arguments.Real(1));
  const int code = samovar_snapshot_open(collection->get(), least, 0, &taken, &error);
  if (code != SAMOVAR_OK) return Throw(env, code, error);
  napi_value out = Object(env);
  Set(env, out, "generation", Number(env, static_cast<double>(samovar_snapshot_generation(taken))));
  auto held = std::make_unique<Held>(
      *collection, std::shared_ptr<samovar_snapshot>(taken, samovar_snapshot_close));
  Set(env, out, "handle", External(env, std::move(held)));
  return out;
}

samovar_snapshot* SnapshotOf(const Arguments& arguments) {
  const auto* held = arguments.Handle<Held>(0);
  return held ? held->snapshot.get() : nullptr;
}

napi_value Close(napi_env env, napi_callback_info info) {
  if (auto* held = Arguments(env, info).Handle<Held>(0)) held->snapshot.reset();
  return nullptr;
}

napi_value Check(napi_env env, napi_callback_info info) {
  const samovar_snapshot* snapshot = SnapshotOf(Arguments(env, info));
  if (!snapshot) return Throw(env, "Invalid", kClosed);
  samovar_error error = {};
  const int code = samovar_snapshot_check(snapshot, &error);
  return code == SAMOVAR_OK ? nullptr : Throw(env, code, error);
}

napi_value IdOf(napi_env env, const samovar_snapshot* snapshot, std::uint64_t row) {
  const char* data = nullptr;
  std::size_t size = 0;
  samovar_snapshot_id(snapshot, row, &data, &size, nullptr);
  return Text(env, data, size);
}

napi_value AttributesOf(napi_env env, const samovar_snapshot* snapshot, std::uint64_t row) {
  const char* data = nullptr;
  std::size_t size = 0;
  samovar_snapshot_attributes(snapshot, row, &data, &size, nullptr);
  return Text(env, data, size);
}

// search(snapshot, vector, k, filter, exact, candidates): [id, score, attributes as JSON, id, ...]
napi_value Search(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const samovar_snapshot* snapshot = SnapshotOf(arguments);
  if (!snapshot) return Throw(env, "Invalid", kClosed);
  const auto [vector, dimension] = arguments.Floats(1);
  const double wanted = arguments.Real(2);
  if (!(wanted >= 1 && wanted <= kMaxHits)) {
    return Throw(env, "Invalid", "k: expected a number from 1 to " + std::to_string(kMaxHits));
  }
  const auto k = static_cast<std::size_t>(wanted);
  const std::string filter = arguments.String(3);
  samovar_search how = {};
  how.exact = arguments.Real(4) != 0;
  how.candidates = static_cast<std::uint32_t>(arguments.Real(5));
  std::vector<std::uint64_t> rows(k);
  std::vector<float> scores(k);
  std::size_t count = 0;
  samovar_error error = {};
  const int code = samovar_snapshot_search_with(
      snapshot, vector, dimension, k, filter.empty() ? nullptr : filter.data(), filter.size(), &how,
      rows.data(), scores.data(), &count, &error);
  if (code != SAMOVAR_OK) return Throw(env, code, error);
  napi_value out = nullptr;
  napi_create_array_with_length(env, 3 * count, &out);
  for (std::uint32_t i = 0; i < count; ++i) {
    napi_set_element(env, out, 3 * i, IdOf(env, snapshot, rows[i]));
    napi_set_element(env, out, 3 * i + 1, Number(env, scores[i]));
    napi_set_element(env, out, 3 * i + 2, AttributesOf(env, snapshot, rows[i]));
  }
  return out;
}

// find(snapshot, id): { row, attributes as JSON }, or undefined
napi_value Find(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const samovar_snapshot* snapshot = SnapshotOf(arguments);
  if (!snapshot) return Throw(env, "Invalid", kClosed);
  const std::string id = arguments.String(1);
  std::uint64_t row = 0;
  samovar_error error = {};
  const int code = samovar_snapshot_find(snapshot, id.data(), id.size(), &row, &error);
  if (code == SAMOVAR_NOT_FOUND) return nullptr;
  if (code != SAMOVAR_OK) return Throw(env, code, error);
  napi_value out = Object(env);
  Set(env, out, "row", Number(env, static_cast<double>(row)));
  Set(env, out, "attributes", AttributesOf(env, snapshot, row));
  return out;
}

// vector(snapshot, row, into): fills a Float32Array of the collection's dimension
napi_value Vector(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* held = arguments.Handle<Held>(0);
  if (!held || !held->snapshot) return Throw(env, "Invalid", kClosed);
  const auto [into, size] = arguments.Floats(2);
  if (size != samovar_collection_dimension(held->owner.get())) {
    return Throw(env, "Invalid", "into: expected an array of the dimension");
  }
  samovar_error error = {};
  const int code =
      samovar_snapshot_vector(held->snapshot.get(), static_cast<std::uint64_t>(arguments.Real(1)),
                              const_cast<float*>(into), &error);
  return code == SAMOVAR_OK ? nullptr : Throw(env, code, error);
}

// count(snapshot): rows that are there
napi_value Count(napi_env env, napi_callback_info info) {
  const samovar_snapshot* snapshot = SnapshotOf(Arguments(env, info));
  if (!snapshot) return Throw(env, "Invalid", kClosed);
  std::vector<std::uint8_t> mask(samovar_snapshot_rows(snapshot));
  return Number(env, static_cast<double>(samovar_snapshot_mask(snapshot, mask.data())));
}

// ids(snapshot): one for each row of the matrix, null where the row is gone
napi_value Ids(napi_env env, napi_callback_info info) {
  const samovar_snapshot* snapshot = SnapshotOf(Arguments(env, info));
  if (!snapshot) return Throw(env, "Invalid", kClosed);
  std::vector<std::uint8_t> mask(samovar_snapshot_rows(snapshot));
  samovar_snapshot_mask(snapshot, mask.data());
  napi_value out = nullptr;
  napi_value gone = nullptr;
  napi_create_array_with_length(env, mask.size(), &out);
  napi_get_null(env, &gone);
  for (std::uint32_t i = 0; i < mask.size(); ++i) {
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env, &scope);
    napi_set_element(env, out, i, mask[i] ? IdOf(env, snapshot, i) : gone);
    napi_close_handle_scope(env, scope);
  }
  return out;
}

// matrix(snapshot): { buffer, rows, columns, row_bytes, storage }
napi_value Matrix(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* held = arguments.Handle<Held>(0);
  if (!held || !held->snapshot) return Throw(env, "Invalid", kClosed);
  samovar_matrix matrix = {};
  samovar_error error = {};
  const int code = samovar_snapshot_matrix(held->snapshot.get(), &matrix, &error);
  if (code != SAMOVAR_OK) return Throw(env, code, error);
  void* data = const_cast<void*>(matrix.data);
  const std::size_t size = matrix.rows * matrix.row_bytes;
  napi_value buffer = nullptr;
  if (size == 0) {
    napi_create_arraybuffer(env, 0, &data, &buffer);
  } else {
    // JavaScript has no read-only arrays; a write shall be the writer's own, not a crash.
    if (::mprotect(data, size, PROT_READ | PROT_WRITE) != 0) {
      return Throw(env, "Unavailable", "the matrix cannot be mapped");
    }
    auto kept = std::make_unique<Held>(*held);
    const auto drop = [](napi_env, void*, void* hint) { delete static_cast<Held*>(hint); };
    if (napi_create_external_arraybuffer(env, data, size, drop, kept.get(), &buffer) != napi_ok) {
      return Throw(env, "Unavailable", "this Node.js takes no memory from outside");
    }
    kept.release();
  }
  napi_value out = Object(env);
  Set(env, out, "buffer", buffer);
  Set(env, out, "rows", Number(env, static_cast<double>(matrix.rows)));
  Set(env, out, "columns", Number(env, matrix.columns));
  Set(env, out, "row_bytes", Number(env, static_cast<double>(matrix.row_bytes)));
  Set(env, out, "storage", Number(env, matrix.storage));
  return out;
}

}  // namespace

NAPI_MODULE_INIT() {
  static constexpr std::pair<const char*, napi_callback> kFunctions[] = {
      {"open", Open}, {"take", Take},     {"close", Close}, {"check", Check}, {"search", Search},
      {"find", Find}, {"vector", Vector}, {"count", Count}, {"ids", Ids},     {"matrix", Matrix}};
  for (const auto& [name, call] : kFunctions) {
    napi_value function = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, call, nullptr, &function);
    Set(env, exports, name, function);
  }
  return exports;
}
