#include "console/job_json.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace txstream::console {
namespace {

using std::chrono::milliseconds;

const outbox::Time kStart{std::chrono::sys_days{std::chrono::January / 2 / 2026}};

outbox::Job a_job() {
    outbox::Job job;
    job.id = 12;
    job.selection = R"({"key":"a"})";
    job.total = 300;
    job.created_at = kStart;
    job.now = kStart;
    return job;
}

TEST(JobJsonTest, AJobThatWaitsHasNoRateAndCanBeCancelled) {
    const auto json = job_json(a_job());
    EXPECT_EQ(json["id"], "12");
    EXPECT_EQ(json["target"], Json({{"key", "a"}}));
    EXPECT_EQ(json["per_second"], nullptr);
    EXPECT_EQ(json["started_at"], nullptr);
    EXPECT_EQ(json["reason"], nullptr);
    EXPECT_EQ(json["is_cancellable"], true);
}

TEST(JobJsonTest, TheRateIsOfWhatWasCarriedOutSinceTheFirstDecisionUntilItsEnd) {
    auto job = a_job();
    job.decided = 250;
    job.carried_out = 180;
    job.parked_again = 20;
    job.started_at = kStart + milliseconds(500);
    job.now = kStart + milliseconds(900);
    EXPECT_EQ(carried_out_per_second(job), std::nullopt) << "too short to say";
    job.now = kStart + milliseconds(10'500);
    EXPECT_DOUBLE_EQ(carried_out_per_second(job).value_or(0), 20);
    job.ended_at = kStart + milliseconds(4500);
    EXPECT_DOUBLE_EQ(carried_out_per_second(job).value_or(0), 50)
        << "time goes on, the job does not";
}

TEST(JobJsonTest, WhatDecidesNoMoreCannotBeCancelled) {
    auto decided = a_job();
    decided.decided_at = kStart;
    EXPECT_EQ(job_json(decided)["is_cancellable"], false);
    auto cancelled = a_job();
    cancelled.cancelled_at = kStart;
    EXPECT_EQ(job_json(cancelled)["is_cancellable"], false);
}

TEST(JobJsonTest, ASelectionThatNoProgramCanReadIsShownAsNone) {
    auto job = a_job();
    job.selection = R"({"key":1e999999})";
    EXPECT_EQ(job_json(job)["target"], Json::object());
}

}  // namespace
}  // namespace txstream::console
