#include "sandbox/spawner_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace samovar {
namespace {

SandboxSpec FullSpec() {
  SandboxSpec spec;
  spec.id = "abc-1";
  spec.argv = {"/bin/x", "", "a \"b\"\n"};
  spec.env = {"A=1", std::string("B=\xff\xfe raw bytes")};
  spec.cwd = "/";
  spec.mounts = {{"/a", "/b", {"/c", "/d"}}, {"/e", "/f", {}}};
  spec.memory = Bytes::MiB(10240);
  spec.tmp_size = Bytes::MiB(512);
  spec.cpus = 0.072;
  spec.max_processes = 7;
  spec.network = Network::kEgress;
  spec.channel = true;
  spec.runtime_api = true;
  return spec;
}

TEST(SpawnerProtocol, AnOrderArrivesAsItWasSent) {
  SpawnerOrder order{SpawnerOrder::Kind::kCreate, 1ull << 40, FullSpec()};
  auto got = DecodeOrder(EncodeOrder(order));
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->number, order.number);
  EXPECT_EQ(EncodeOrder(*got), EncodeOrder(order));
  EXPECT_EQ(got->spec.env, order.spec.env);
  EXPECT_EQ(got->spec.mounts[0].overlays, order.spec.mounts[0].overlays);
  EXPECT_EQ(got->spec.cpus, 0.072);
}

TEST(SpawnerProtocol, AnOrderForACloneArrivesAsItWasSent) {
  SpawnerOrder order{.kind = SpawnerOrder::Kind::kClone,
                     .number = 8,
                     .clone = {.id = "c-1", .env = {"A=1", "B="}},
                     .original = 7};
  auto got = DecodeOrder(EncodeOrder(order));
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->kind, SpawnerOrder::Kind::kClone);
  EXPECT_EQ(got->number, 8u);
  EXPECT_EQ(got->original, 7u);
  EXPECT_EQ(got->clone.id, "c-1");
  EXPECT_EQ(got->clone.env, order.clone.env);
}

TEST(SpawnerProtocol, ChecksWhatAskedForACloneToo) {
  EXPECT_TRUE(CheckSpec(CloneSpec{.id = "c", .env = {"A=b=c", "B="}}));
  const CloneSpec kWrong[] = {{.id = "", .env = {}},
                              {.id = "C", .env = {}},
                              {.id = "c", .env = {"A"}},
                              {.id = "c", .env = {"=1"}},
                              {.id = "c", .env = {std::string("A=\0", 3)}},
                              {.id = "c", .env = {"A=" + std::string(64 << 10, 'x')}}};
  for (const auto& spec : kWrong) {
    auto checked = CheckSpec(spec);
    ASSERT_FALSE(checked) << spec.id;
    EXPECT_EQ(checked.error().code, Code::kInvalid);
  }
}

TEST(SpawnerProtocol, AReportArrivesAsItWasSent) {
  SpawnerReport exited{.kind = SpawnerReport::Kind::kExited, .number = 5};
  exited.exit = {.code = 0, .signal = 9, .out_of_memory = true, .max_memory = Bytes::GiB(20)};
  SpawnerReport failed{.kind = SpawnerReport::Kind::kFailed, .number = 6};
  failed.error = {Code::kInvalid, "no"};
  SpawnerReport created{.kind = SpawnerReport::Kind::kCreated, .number = 7, .channel = true};
  for (const auto& report : {exited, failed, created}) {
    auto got = DecodeReport(EncodeReport(report));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(EncodeReport(*got), EncodeReport(report));
  }
}

TEST(SpawnerProtocol, RefusesWhatIsNotOfItsForm) {
  std::string whole = EncodeOrder({SpawnerOrder::Kind::kCreate, 3, FullSpec()});
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_FALSE(DecodeOrder(whole.substr(0, cut))) << cut;
  }
  for (const char* text :
       {"", "{}", "[]", "null", R"({"kind":9,"number":1})", R"({"kind":-1,"number":1})",
        R"({"kind":0,"number":1})", R"({"kind":1,"number":-1})", R"({"kind":1,"number":"1"})"}) {
    EXPECT_FALSE(DecodeOrder(text)) << text;
    EXPECT_FALSE(DecodeReport(text)) << text;
  }
}

TEST(SpawnerProtocol, ChecksASpecBeforeRootActsOnIt) {
  EXPECT_TRUE(CheckSpec(FullSpec()));
  using Change = void (*)(SandboxSpec&);
  const Change kChanges[] = {[](SandboxSpec& s) { s.id = ""; },
                             [](SandboxSpec& s) { s.id = "../x"; },
                             [](SandboxSpec& s) { s.id = std::string(65, 'a'); },
                             [](SandboxSpec& s) { s.argv[1] = std::string("a\0b", 3); },
                             [](SandboxSpec& s) { s.mounts[0].source = "relative"; },
                             [](SandboxSpec& s) { s.mounts[0].target = "/"; },
                             [](SandboxSpec& s) { s.mounts[0].target = "/.."; },
                             [](SandboxSpec& s) { s.mounts[0].target = "/dev/shm"; },
                             [](SandboxSpec& s) { s.mounts[0].target = "/tmp"; },
                             [](SandboxSpec& s) { s.mounts[0].overlays[1] = "x"; },
                             [](SandboxSpec& s) { s.memory = Bytes{1}; },
                             [](SandboxSpec& s) { s.tmp_size = Bytes{}; },
                             [](SandboxSpec& s) { s.cpus = -1; },
                             [](SandboxSpec& s) { s.max_processes = 0; }};
  for (Change change : kChanges) {
    SandboxSpec spec = FullSpec();
    change(spec);
    auto checked = CheckSpec(spec);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::kInvalid);
  }
}

}  // namespace
}  // namespace samovar
