#include "app/relay_reporter.hpp"

#include "config/fixture.hpp"
#include "telemetry/histogram_batch.hpp"

#include <gtest/gtest.h>

namespace txstream::app {
namespace {

using namespace std::chrono_literals;

TEST(QuantileTest, LiesWhereThePartOfTheCountsEnds) {
    const std::array<double, 3> bounds{1, 2, 4};
    EXPECT_EQ(quantile(std::array<double, 4>{0, 0, 0, 0}, bounds, 0.5), std::nullopt);
    EXPECT_DOUBLE_EQ(*quantile(std::array<double, 4>{10, 0, 0, 0}, bounds, 0.5), 0.5);
    EXPECT_DOUBLE_EQ(*quantile(std::array<double, 4>{0, 0, 10, 0}, bounds, 0.5), 3);
    EXPECT_DOUBLE_EQ(*quantile(std::array<double, 4>{50, 0, 50, 0}, bounds, 0.99), 3.96);
    EXPECT_DOUBLE_EQ(*quantile(std::array<double, 4>{1, 0, 0, 99}, bounds, 0.5), 4)
        << "beyond all bounds it is the last one";
}

TEST(ReportPaceTest, AChangeIsReportedAtOnceAndWhatStaysNowAndThen) {
    ReportPace pace;
    const ReportPace::Clock::time_point start{};
    EXPECT_TRUE(pace.is_due(start, false)) << "nothing was reported";
    pace.written(start, 0);
    EXPECT_FALSE(pace.is_due(start + 3900ms, false));
    EXPECT_TRUE(pace.is_due(start + 1ms, true));
    EXPECT_TRUE(pace.is_due(start + 4s, false));
    pace.written(start, 0.999);
    EXPECT_FALSE(pace.is_due(start + 5900ms, false));
    EXPECT_TRUE(pace.is_due(start + 6s, false));
    EXPECT_GE(outbox::kMemberSilenceMax, 3 * 6s) << "three reports may be lost";
}

TEST(ReportPaceTest, AfterAFailureTheDatabaseIsLeftInPeace) {
    ReportPace pace;
    const ReportPace::Clock::time_point start{};
    pace.failed(start);
    EXPECT_TRUE(pace.is_resting(start + 4900ms));
    EXPECT_FALSE(pace.is_due(start + 4900ms, true));
    EXPECT_FALSE(pace.is_resting(start + 5s));
    EXPECT_TRUE(pace.is_due(start + 5s, false));
    pace.written(start + 5s, 0.5);
    EXPECT_TRUE(pace.is_due(start + 6s, true));
}

TEST(SharedSettingsTest, TheDigestTellsEachOfThemApartAndNoSecretIsAmongThem) {
    const auto config = config::loaded({{"KAFKA_SASL_USERNAME", "relay-7"},
                                        {"KAFKA_SASL_PASSWORD", "sesame"},
                                        {"KAFKA_SASL_MECHANISM", "PLAIN"},
                                        {"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"},
                                        {"DATABASE_PASSWORD", "sesame"}})
                            .config;
    const auto settings = shared_settings(config);
    EXPECT_EQ(settings.at("security.protocol"), "sasl_ssl");
    for (const auto& [name, value] : settings) {
        EXPECT_EQ(value.find("sesame"), std::string::npos) << name;
        EXPECT_EQ(value.find("relay-7"), std::string::npos) << name;
        auto changed = settings;
        changed[name] += "x";
        EXPECT_NE(digest_of(changed), digest_of(settings)) << name;
    }
    EXPECT_EQ(digest_of(settings), digest_of(shared_settings(config)));
    EXPECT_NE(digest_of({{"ab", "c"}}), digest_of({{"a", "bc"}}));
}

TEST(TopicsJsonTest, TheWorstComeFirstAndWhatMovesIsLeftOutWhereItIsNotAskedFor) {
    using Wall = std::chrono::system_clock::time_point;
    const Deadline::Clock::time_point now{100s};
    const Wall wall{1'700'000'000s};
    const std::vector<relay::SlowTopic> topics{
        {"careful", false, "INVALID_RECORD", now - 10s, now + 290s, 5, 5},
        {"closed", true, "_UNKNOWN_TOPIC", now - 20s, std::nullopt, 1, 1, now + 30s}
    };
    EXPECT_EQ(
        topics_json(topics, true, now, wall),
        R"([{"name":"closed","state":"closed","error":"_UNKNOWN_TOPIC",)"
        R"("since":"2023-11-14T22:13:00Z","until":null,"events":1,"keys":1,)"
        R"("next_try":"2023-11-14T22:13:50Z"},)"
        R"({"name":"careful","state":"careful","error":"INVALID_RECORD",)"
        R"("since":"2023-11-14T22:13:10Z","until":"2023-11-14T22:18:10Z","events":5,"keys":5,)"
        R"("next_try":null}])"
    );
    EXPECT_EQ(
        topics_json(topics, false, now, wall),
        R"([{"name":"closed","state":"closed","error":"_UNKNOWN_TOPIC"},)"
        R"({"name":"careful","state":"careful","error":"INVALID_RECORD"}])"
    );
    EXPECT_EQ(topics_json({}, true, now, wall), "[]");
}

}  // namespace
}  // namespace txstream::app
