#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace txstream::cli {
namespace {

TEST(UsageTest, SeveralFilesAddVerbsToOneGroup) {
    CLI::App line("", "txstream");
    line.footer("Examples:\n  txstream serve\n");
    auto& first = group(line, "letters", "Letters");
    explain(*first.add_subcommand("list", ""), "  txstream letters list\n  txstream more\n", {kOk});
    auto& second = group(line, "letters", "Letters");
    explain(*second.add_subcommand("burn", ""), "  txstream letters burn\n", {kOk});
    EXPECT_EQ(&first, &second);
    explain_groups(line);
    EXPECT_TRUE(first.get_footer().starts_with(
        "Examples:\n  txstream letters list\n  txstream letters burn\n\nExit codes:\n"
    )) << first.get_footer();
    EXPECT_FALSE(complaint(line, std::vector<std::string>{"letters", "burn"}));
    EXPECT_TRUE(complaint(line, std::vector<std::string>{"letters"}));
}

TEST(UsageTest, AnOptionWithAListMayBeGivenAgainAndTakesOneWordEachTime) {
    CLI::App line("", "txstream");
    std::vector<std::string> many;
    std::string one;
    auto& verb = *line.add_subcommand("list", "");
    verb.add_option("--type", many, "Types")->allow_extra_args(false);
    verb.add_option("--key", one, "Key");
    using Words = std::vector<std::string>;
    EXPECT_FALSE(complaint(line, Words{"list", "--type", "a", "--type", "b"}));
    EXPECT_TRUE(complaint(line, Words{"list", "--key", "a", "--key", "b"}));
    EXPECT_TRUE(complaint(line, Words{"list", "--type", "a", "b"}));
    line.parse("list --type a --type b --key k");
    EXPECT_EQ(many, (Words{"a", "b"}));
}

}  // namespace
}  // namespace txstream::cli
