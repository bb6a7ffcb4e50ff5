#include "wire/event_stream.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <sstream>

#include "base/encoding.h"

namespace samovar {
namespace {

boost::json::value ReadCases(const std::string& name) {
  std::ifstream file(std::string(SAMOVAR_CASES) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return boost::json::parse(text.str());
}

TEST(EventStream, AgreesWithBotocoreByteForByte) {
  boost::json::value cases = ReadCases("event_stream.json");
  for (const boost::json::value& c : cases.at("cases").as_array()) {
    std::string name(c.at("name").as_string());
    EventMessage message;
    for (const boost::json::value& h : c.at("headers").as_array()) {
      message.headers.push_back({.name = std::string(h.at(0).as_string()),
                                 .value = Base64Decode(h.at(2).as_string()).value(),
                                 .type = h.at(1).to_number<std::uint8_t>()});
    }
    message.payload = Base64Decode(c.at("payload").as_string()).value();
    std::string bytes = Base64Decode(c.at("bytes").as_string()).value();
    EXPECT_EQ(EncodeEvent(message), bytes) << name;

    EventStreamDecoder decoder;
    for (char b : bytes) decoder.Feed({&b, 1});
    auto read = decoder.Next();
    ASSERT_TRUE(read && *read) << name;
    EXPECT_EQ((*read)->payload, message.payload) << name;
    ASSERT_EQ((*read)->headers.size(), message.headers.size()) << name;
    for (std::size_t i = 0; i < message.headers.size(); ++i) {
      EXPECT_EQ((*read)->headers[i].name, message.headers[i].name);
      EXPECT_EQ((*read)->headers[i].value, message.headers[i].value);
      EXPECT_EQ((*read)->headers[i].type, message.headers[i].type);
    }
    EXPECT_FALSE(decoder.Pending());
  }
}

TEST(EventStream, TellsChunksCompletionAndExceptionsApart) {
  EventStreamDecoder decoder;
  decoder.Feed(PayloadChunkEvent("abc") + InvokeCompleteEvent("Unhandled", "{}", "") +
               ExceptionEvent("ServiceException", "gone"));
  auto chunk = decoder.Next();
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_EQ((*chunk)->Header(":event-type"), "PayloadChunk");
  EXPECT_EQ((*chunk)->payload, "abc");
  auto complete = decoder.Next();
  ASSERT_TRUE(complete && *complete);
  EXPECT_EQ((*complete)->Header(":event-type"), "InvokeComplete");
  EXPECT_EQ((*complete)->payload, R"({"ErrorCode":"Unhandled","ErrorDetails":"{}"})");
  auto exception = decoder.Next();
  ASSERT_TRUE(exception && *exception);
  EXPECT_EQ((*exception)->Header(":message-type"), "exception");
  EXPECT_EQ((*exception)->Header(":exception-type"), "ServiceException");
  auto end = decoder.Next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST(EventStream, NoticesEveryFlippedBit) {
  std::string bytes = PayloadChunkEvent("abc");
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    EventStreamDecoder decoder;
    decoder.Feed(flipped);
    auto read = decoder.Next();
    EXPECT_FALSE(read && *read) << i;
    if (!read) {
      EXPECT_FALSE(decoder.Next());  // and stays broken
    }
  }
}

}  // namespace
}  // namespace samovar
