#pragma once
// GatewayHarness: the real gateway, registry, stores and HTTP server on a loop of their own, for
// tests. Only what runs user code is replaced: EchoInvoker does what the event tells it to.

#include <archive.h>
#include <archive_entry.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "base/encoding.h"
#include "base/ids.h"
#include "gateway/gateway.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "store/memory_store.h"
#include "wire/sigv4.h"

namespace samovar {

// {"do": "fail"} fails as a function does, "throttle" is refused, "stream" answers in pieces,
// "hold" is answered once Release() is called, "page" as a web page in pieces, "endless" streams
// until nobody reads; anything else comes back as it is.
class EchoInvoker final : public Invoker {
 public:
  std::promise<void> reader_left;
  std::promise<void> holding;
  void Release() { release_(); }  // on the loop

  Task<Result<InvocationResult>> Invoke(Invocation invocation, ResponseSink* sink) override {
    std::string what = What(invocation.payload);
    if (what == "throttle") {
      co_return Fail(Code::kThrottled, "Rate Exceeded.", "TooManyRequestsException",
                     "ReservedFunctionConcurrentInvocationLimitExceeded");
    }
    if (what == "hold") {
      asio::steady_timer forever(co_await asio::this_coro::executor,
                                 asio::steady_timer::duration::max());
      release_ = [&forever] { forever.cancel(); };
      holding.set_value();
      co_await forever.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    }
    InvocationResult result;
    result.log_tail = "START\nsome log\n";
    if (what == "fail") {
      result.function_error = "Unhandled";
      result.error_type = "ValueError";
      result.payload = R"({"errorMessage":"bad","errorType":"ValueError"})";
      co_return result;
    }
    result.payload = invocation.payload;
    if (sink == nullptr) co_return result;
    if (what == "endless") {
      co_await sink->begin("text/plain");
      while (co_await sink->chunk(std::string(100'000, 'x'))) continue;
      reader_left.set_value();
      co_return result;
    }
    bool page = what == "page";
    co_await sink->begin(page ? "application/vnd.awslambda.http-integration-response"
                              : "text/plain");
    if (page) {
      std::string head = R"({"statusCode":201,"headers":{"X-Made":"by-stream"},"cookies":["a=b"]})";
      co_await sink->chunk(head.substr(0, 10));
      co_await sink->chunk(head.substr(10) + std::string(8, '\0') + "<p>");
    }
    co_await sink->chunk("one,");
    co_await sink->chunk("two");
    co_return result;
  }

 private:
  static std::string What(std::string_view payload) {
    boost::system::error_code error;
    auto value = boost::json::parse(payload, error);
    // A function URL's event carries the instruction in its query.
    if (!error && value.is_object()) {
      if (auto* q = value.get_object().if_contains("rawQueryString")) {
        return std::string(q->get_string());
      }
      if (auto* what = value.get_object().if_contains("do")) return std::string(what->get_string());
    }
    return "";
  }

  std::function<void()> release_;
};

// A zip with one file.
inline std::string MakeZip(const std::string& name, const std::string& content) {
  std::string zip(content.size() + 4096, '\0');
  std::size_t used = 0;
  archive* a = archive_write_new();
  archive_write_set_format_zip(a);
  archive_write_open_memory(a, zip.data(), zip.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_write_header(a, entry);
  archive_write_data(a, content.data(), content.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
  zip.resize(used);
  return zip;
}

class GatewayHarness {
 public:
  explicit GatewayHarness(GatewayOptions options = {})
      : directory_(std::filesystem::temp_directory_path() / ("gateway_test." + RandomHex(12))) {
    std::filesystem::create_directories(directory_);
    packages_ = OpenPackageStore(directory_ / "packages", {}).value();
    registry_ = OpenRegistry({}, kv_, *packages_, pool_, loop_.get_executor(), clock_).value();
    keys_ = KeyStore::Open(kv_, pool_, clock_).value();
    books_ = Books::Open(kv_, clock_).value();
    logs_ = std::make_unique<LogStore>(loop_.get_executor(), pool_,
                                       LogOptions{.directory = directory_ / "logs"});
    GatewayParts parts{.registry = *registry_,
                       .invoker = invoker_,
                       .enqueue = [this](Invocation i) { return Enqueue(std::move(i)); },
                       .keys = *keys_,
                       .packages = *packages_,
                       .books = *books_,
                       .logs = *logs_,
                       .pool = pool_,
                       .loop = loop_.get_executor(),
                       .clock = clock_,
                       .options = options};
    gateway_ = std::make_unique<Gateway>(std::move(parts));
    server_ = std::make_unique<HttpServer>(loop_.get_executor(), clock_, HttpServerOptions{},
                                           gateway_->Handler());
    port_ = server_->Listen("127.0.0.1", 0).value();
    thread_ = std::thread([this] { loop_.run(); });
  }

  ~GatewayHarness() {
    Run([this]() -> Task<void> {
      co_await server_->Stop(Deadline::After(clock_, std::chrono::seconds(1)));
      co_await gateway_->Stop();
      co_await logs_->Stop();
    });
    work_.reset();
    loop_.stop();
    thread_.join();
    pool_.join();
    std::filesystem::remove_all(directory_);
  }

  void Run(std::function<Task<void>()> task) {
    asio::co_spawn(loop_, task(), asio::use_future).get();
  }

  HttpReply Call(HttpCall call) {
    auto reply = HttpClient({false, "127.0.0.1", port_}).Call(std::move(call));
    return reply ? *reply : HttpReply{0, {}, reply.error().message};
  }
  HttpReply Get(const std::string& target, Headers headers = {}) {
    return Call({.method = "GET", .target = target, .headers = std::move(headers)});
  }
  HttpReply Post(const std::string& target, const std::string& body, Headers headers = {}) {
    return Call({.method = "POST", .target = target, .headers = std::move(headers), .body = body});
  }
  HttpReply Invoke(const std::string& body, Headers headers = {}, std::string name = "echo") {
    return Post("/2015-03-31/functions/" + name + "/invocations", body, std::move(headers));
  }
  // An echo function, ready to be called.
  HttpReply Create(const std::string& name, const std::string& zip = MakeZip("app.py", "x = 1\n")) {
    boost::json::object body{{"FunctionName", name},
                             {"Runtime", "python3.11"},
                             {"Role", "arn:aws:iam::000000000000:role/r"},
                             {"Handler", "app.handler"},
                             {"Code", boost::json::object{{"ZipFile", Base64Encode(zip)}}}};
    return Post("/2015-03-31/functions", boost::json::serialize(body));
  }

  // Adds the fields that sign the call.
  HttpCall Sign(HttpCall call, const SigningCredentials& credentials) {
    std::string host = HttpEndpoint{false, "127.0.0.1", port_}.HostField();
    Fields fields{{"Host", host}};
    for (auto& field : call.headers.All()) fields.push_back(field);
    auto query = call.target.find('?');
    std::string path = call.target.substr(0, query);
    std::string raw = query == std::string::npos ? "" : call.target.substr(query + 1);
    for (auto& [name, value] :
         SignRequest({call.method, path, raw, fields}, Sha256Hex(call.body), credentials,
                     "us-east-1", "lambda", std::chrono::system_clock::now())) {
      call.headers.Add(name, value);
    }
    return call;
  }

  std::vector<Invocation> Queued() {
    std::lock_guard lock(mutex_);
    return queued_;
  }
  LogStore& Logs() { return *logs_; }
  EchoInvoker& Invoker() { return invoker_; }
  std::uint16_t Port() const { return port_; }

 private:
  Task<Result<void>> Enqueue(Invocation invocation) {
    std::lock_guard lock(mutex_);
    queued_.push_back(std::move(invocation));
    co_return Result<void>();
  }

  std::filesystem::path directory_;
  SystemClock clock_;
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  BlockingPool pool_{2};
  MemoryStore kv_;
  std::unique_ptr<PackageStore> packages_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Books> books_;
  std::unique_ptr<LogStore> logs_;
  EchoInvoker invoker_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpServer> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<Invocation> queued_;
};

inline boost::json::object Json(const HttpReply& reply) {
  boost::system::error_code error;
  auto value = boost::json::parse(reply.body, error);
  return !error && value.is_object() ? value.get_object() : boost::json::object();
}

inline std::string Text(const boost::json::object& object, std::string_view member) {
  auto* value = object.if_contains(member);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

inline Headers With(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  Headers headers;
  for (auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

}  // namespace samovar
