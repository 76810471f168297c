#include "outbox/snapshot.hpp"

#include <gtest/gtest.h>

namespace txstream::outbox {
namespace {

TEST(SnapshotTest, SeesWhatHadEndedAndNothingElse) {
    const auto snapshot = Snapshot::parse("10:20:10,14,19").value();
    EXPECT_TRUE(snapshot.sees(9));
    EXPECT_FALSE(snapshot.sees(10));
    EXPECT_TRUE(snapshot.sees(11));
    EXPECT_FALSE(snapshot.sees(14));
    EXPECT_FALSE(snapshot.sees(19));
    EXPECT_FALSE(snapshot.sees(20));
}

TEST(SnapshotTest, NobodyRunningIsAnEmptyList) {
    const auto snapshot = Snapshot::parse("743:743:").value();
    EXPECT_EQ(snapshot.xmin(), 743);
    EXPECT_EQ(snapshot.xmax(), 743);
    EXPECT_TRUE(snapshot.running().empty());
    EXPECT_EQ(snapshot.text(), "743:743:");
}

TEST(SnapshotTest, GarbageIsCorruptNotZero) {
    for (const char* text :
         {"", "1", "1:2", "a:2:", "1:b:", "5:4:", "1:5:9", "1:5:3,2", "1:5:x", "-1:5:"}) {
        const auto parsed = Snapshot::parse(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code(), Code::corrupt) << text;
    }
}

}  // namespace
}  // namespace txstream::outbox
