#include "functions/collection_access.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(CollectionAccess, NamesWhatMayBeReadAndWritten) {
  const auto access = ParseCollectionAccess("films:rw, users:r,old_2");
  ASSERT_TRUE(access);
  ASSERT_EQ(access->size(), 3U);
  EXPECT_EQ((*access)[0].name, "films");
  EXPECT_TRUE((*access)[0].writable);
  EXPECT_EQ((*access)[1].name, "users");
  EXPECT_FALSE((*access)[1].writable);
  EXPECT_EQ((*access)[2].name, "old_2");
  EXPECT_TRUE(ParseCollectionAccess("")->empty());
}

TEST(CollectionAccess, SaysWhichGenerationIsRead) {
  const auto access = ParseCollectionAccess("films:r@pinned,ads@7,users@latest,old:rw").value();
  EXPECT_TRUE(access[0].pinned);
  EXPECT_EQ(access[1].Stored(), "ads@7");
  EXPECT_EQ(access[2].Stored(), "users");
  EXPECT_EQ(WithPins("films:r@pinned, ads@7,log:rw", {{"films", 12}, {"log", 3}}),
            "films:r@12,ads:r@7,log:rw");
  EXPECT_EQ(WithPins("films:r@pinned", {}), "films:r");
  const auto refused = ParseCollectionAccess("films:rw@7");
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.ends_with("can be read, not written"));
}

TEST(CollectionAccess, RefusesWhatIsNoName) {
  for (const char* tag : {"../x", "films:w", "Films", "a,,b", ".", "a/b:r", "films:rw users:r"}) {
    const auto refused = ParseCollectionAccess(tag);
    ASSERT_FALSE(refused) << tag;
    EXPECT_EQ(refused.error().code, Code::kInvalid);
    EXPECT_TRUE(refused.error().message.starts_with("samovar:collections: expected names"));
  }
}

}  // namespace
}  // namespace samovar
