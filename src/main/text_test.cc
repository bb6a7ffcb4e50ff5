// Tables, terminals, credentials files and prices: what the command line shows and reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "main/credentials.h"
#include "main/table.h"
#include "main/terminal.h"

namespace samovar {
namespace {

const Terminal kPlain(false, false, 80);

TEST(Table, AlignsColumnsByWhatIsSeenNotByBytes) {
  Table table({{"NAME"}, {"MB", true}, {"NOTE"}});
  table.Add({"héllo", "7", "a"});
  table.Add({"日本", "1024", ""});
  EXPECT_EQ(table.Render(kPlain),
            "NAME     MB  NOTE\n"
            "héllo     7  a\n"
            "日本   1024\n");
}

TEST(Table, PaintsOnlyWhereColoursAreWanted) {
  Table table({{"A"}});
  table.Add({Cell("bad", Ink::kRed)});
  EXPECT_EQ(table.Render(kPlain), "A\nbad\n");
  EXPECT_EQ(table.Render(Terminal(true, true, 80)), "\x1b[1mA\x1b[0m\n\x1b[31mbad\x1b[0m\n");
}

TEST(Table, CutsLinesToTheTerminal) {
  Table table({{"A"}, {"B"}});
  table.Add({"12345", "1234567"});
  EXPECT_EQ(table.Render(Terminal(true, false, 10), true), "A      B\n12345  12…\n");
}

TEST(Terminal, KeepsForeignTextFromSteeringIt) {
  EXPECT_EQ(SafeText("a\x1b[31mb\r\nc\td"), "a\\x1b[31mb\\x0d\\x0ac d");
  EXPECT_EQ(SafeText("\xc2\x9b"
                     "31m"),
            "\\u009b31m");
  EXPECT_EQ(SafeText("ok \xff"
                     "é"),
            "ok \xEF\xBF\xBDé");
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1U);
  EXPECT_EQ(DisplayWidth("🍵"), 2U);
  EXPECT_EQ(CutToWidth("日本語", 4), "日…");
}

TEST(Credentials, ReadsTheFilesAsTheAwsToolsWriteThem) {
  const IniFile file = ParseIni(
      "# comment\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=a/b+c=\r\n\n"
      "[ other ]\naws_access_key_id=AKIA2 # two\ns3 =\n  max = 5\n[broken\nx\n");
  EXPECT_EQ(file.at("default").at("aws_access_key_id"), "AKIA1");
  EXPECT_EQ(file.at("default").at("aws_secret_access_key"), "a/b+c=");
  EXPECT_EQ(file.at("other").at("aws_access_key_id"), "AKIA2");
  EXPECT_FALSE(file.at("other").contains("max"));
}

TEST(Credentials, PrefersTheEnvironmentThenTheProfile) {
  CredentialSources sources;
  EXPECT_EQ(FindCredentials(sources)->origin, "no key");
  sources.credentials_text =
      "[default]\naws_access_key_id=D\naws_secret_access_key=d\n"
      "[p]\naws_access_key_id=P\naws_secret_access_key=p\naws_session_token=t\n[half]\n"
      "aws_access_key_id=H\n";
  sources.config_text = "[default]\nregion = eu-west-1\n[profile p]\nregion=eu-north-1\n";
  EXPECT_EQ(FindCredentials(sources)->keys.access_key_id, "D");
  EXPECT_EQ(FindCredentials(sources)->region, "eu-west-1");
  sources.environment["AWS_PROFILE"] = "p";
  EXPECT_EQ(FindCredentials(sources)->keys.session_token, "t");
  EXPECT_EQ(FindCredentials(sources)->region, "eu-north-1");
  sources.environment["AWS_PROFILE"] = "half";
  EXPECT_THAT(FindCredentials(sources).error().message, testing::HasSubstr("profile half"));
  sources.environment["AWS_PROFILE"] = "gone";
  EXPECT_THAT(FindCredentials(sources).error().message, testing::HasSubstr("profile gone"));
  sources.environment["AWS_ACCESS_KEY_ID"] = "E";
  EXPECT_THAT(FindCredentials(sources).error().message,
              testing::HasSubstr("AWS_SECRET_ACCESS_KEY is not"));
  sources.environment["AWS_SECRET_ACCESS_KEY"] = "e";
  EXPECT_EQ(FindCredentials(sources)->keys.access_key_id, "E");
}

}  // namespace
}  // namespace samovar
