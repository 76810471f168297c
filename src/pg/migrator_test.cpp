#include "pg/migrator.hpp"

#include <gtest/gtest.h>

namespace txstream::pg {
namespace {

TEST(MigrationSetTest, IsInTheOrderOfVersions) {
    const auto set = make_migration_set("x", {{"0002_b.sql", "two"}, {"0001_a_b.sql", "one"}});
    ASSERT_TRUE(set);
    ASSERT_EQ(set->migrations.size(), 2U);
    EXPECT_EQ(set->migrations[0].name, "a_b");
    EXPECT_EQ(set->migrations[1].version, 2);
}

TEST(MigrationSetTest, RefusesGapsDoublesAndOtherNames) {
    using Files = std::vector<std::pair<std::string_view, std::string_view>>;
    for (const auto& files : std::vector<Files>{
             {{"0001_a.sql", ""}, {"0003_c.sql", ""}},
             {{"0001_a.sql", ""}, {"0001_b.sql", ""}},
             {{"0002_b.sql", ""}},
             {{"a.sql", ""}},
             {{"0001-a.sql", ""}},
             {{"0001_a.txt", ""}},
             {{"0001_a.sql", "-- \u2026"}}
         }) {
        const auto set = make_migration_set("x", files);
        ASSERT_FALSE(set);
        EXPECT_EQ(set.error().code(), Code::invalid_input);
    }
}

TEST(MigrationSetTest, TheChecksumIsSha256OfTheFile) {
    Migration migration;
    migration.sql = "abc";
    EXPECT_EQ(
        migration.checksum(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

}  // namespace
}  // namespace txstream::pg
