#include "app/service_manager.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

namespace txstream::app {
namespace {

using namespace std::chrono_literals;

/// What a service manager has: a socket that is told, under an abstract name of its own.
class Manager {
public:
    Manager() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        // The kernel gives a free abstract name: a zero and five digits.
        EXPECT_EQ(
            bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)), 0
        );
        socklen_t size = sizeof address;
        EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        name_ = "@" + std::string(&address.sun_path[1], size - offsetof(sockaddr_un, sun_path) - 1);
    }
    ~Manager() { close(socket_); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    const std::string& name() const { return name_; }
    /// What has come since the last call.
    std::vector<std::string> told() {
        std::vector<std::string> all;
        std::array<char, 4096> text{};
        while (true) {
            const auto size = recv(socket_, text.data(), text.size(), MSG_DONTWAIT);
            if (size < 0) return all;
            all.emplace_back(text.data(), static_cast<std::size_t>(size));
        }
    }

private:
    int socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    std::string name_;
};

using Lines = std::vector<std::string>;

TEST(ServiceManagerTest, WithoutASocketThereIsNobodyToTell) {
    ServiceManager manager({"", "2000000", ""});
    EXPECT_TRUE(manager.usable());
    EXPECT_FALSE(manager.is_there());
    EXPECT_FALSE(manager.patience());
    manager.ready();
    manager.tell("status", true);
}

TEST(ServiceManagerTest, EachStateIsToldOnceAndTheStatusWhenItChanges) {
    Manager systemd;
    ServiceManager manager({systemd.name(), "", ""});
    ASSERT_TRUE(manager.is_there());
    manager.tell("starting", true);
    EXPECT_EQ(systemd.told(), Lines{"STATUS=starting\n"});
    manager.tell("starting", true);
    EXPECT_EQ(systemd.told(), Lines());
    manager.ready();
    manager.tell("one\ntwo", true);
    EXPECT_EQ(systemd.told(), Lines{"READY=1\nSTATUS=one two\n"});
    manager.stopping();
    manager.tell("one\ntwo", true);
    manager.tell("one\ntwo", true);
    EXPECT_EQ(systemd.told(), Lines{"STOPPING=1\n"});
}

TEST(ServiceManagerTest, TheWatchdogIsFedOnlyWhileThereIsProgress) {
    Manager systemd;
    ServiceManager manager({systemd.name(), "30000000", "4711"}, 4711);
    EXPECT_EQ(manager.patience(), 15s);
    EXPECT_EQ(manager.interval(), 5s);
    manager.tell("", true);
    manager.tell("", false);
    manager.tell("", true);
    EXPECT_EQ(systemd.told(), (Lines{"WATCHDOG=1\n", "WATCHDOG=1\n"}));
}

TEST(ServiceManagerTest, ItIsToldTwiceWithinTheTimeOfTheWatchdog) {
    Manager systemd;
    EXPECT_EQ(ServiceManager({systemd.name(), "2000000", ""}).interval(), 1s);
    EXPECT_EQ(ServiceManager({systemd.name(), "1", ""}).interval(), 10ms);
    EXPECT_EQ(ServiceManager({systemd.name(), "9223372036854775807", ""}).interval(), 5s);
    EXPECT_EQ(ServiceManager({systemd.name(), "", ""}).interval(), ServiceManager::kInterval);
}

TEST(ServiceManagerTest, AWatchdogOfAnotherProcessOrOneThatIsNoNumberIsNone) {
    Manager systemd;
    for (const auto& [usec, pid] : std::vector<std::pair<std::string, std::string>>{
             {"2000000", "4712"}, {"2000000", "x"}, {"2s", ""}, {"-1", ""}, {"0", ""}
         }) {
        ServiceManager manager({systemd.name(), usec, pid}, 4711);
        EXPECT_FALSE(manager.patience()) << usec << " " << pid;
        manager.tell("", true);
    }
    EXPECT_EQ(systemd.told(), Lines());
}

TEST(ServiceManagerTest, AnAddressThatCannotBeUsedSaysSo) {
    const ServiceManager relative({"run/notify", "", ""});
    EXPECT_FALSE(relative.is_there());
    EXPECT_EQ(relative.usable().error().code(), Code::invalid_input);
    const ServiceManager missing({"/no/such/socket", "", ""});
    EXPECT_FALSE(missing.is_there());
    EXPECT_EQ(missing.usable().error().code(), Code::unavailable);
    EXPECT_FALSE(ServiceManager({"/" + std::string(200, 'x'), "", ""}).usable());
}

TEST(ServiceManagerTest, WhatFoundNoRoomIsToldWithTheNext) {
    Manager systemd;
    ServiceManager manager({systemd.name(), "2000000", ""});
    // Until the manager's queue is full.
    for (int i = 0; i < 10'000; ++i) manager.tell("busy", true);
    manager.ready();
    manager.tell("busy", true);
    const auto before = systemd.told();
    EXPECT_LT(before.size(), 10'000U) << "this kernel has no limit, and the test proves nothing";
    manager.tell("busy", true);
    EXPECT_EQ(systemd.told(), Lines{"READY=1\nWATCHDOG=1\n"});
}

TEST(ServiceManagerTest, TheStatusSaysWhatRunsAndWhatHoldsItUp) {
    EXPECT_EQ(status_line(true, true, std::nullopt), "API; console");
    RelayHealth relay;
    EXPECT_EQ(status_line(false, false, relay), "the relay waits for Kafka");
    relay.is_started = true;
    relay.workers = 2;
    relay.workers_alive = 2;
    relay.lanes = 32;
    EXPECT_EQ(status_line(true, false, relay), "relay: 32 lanes, 2 of 2 workers at work; API");
    relay.blocked = {
        {relay::Blockage::kafka_unavailable, {}, {}}, {relay::Blockage::paused, {}, {}}
    };
    EXPECT_EQ(
        status_line(false, false, relay),
        "held up: kafka_unavailable, paused; relay: 32 lanes, 2 of 2 workers at work"
    );
}

}  // namespace
}  // namespace txstream::app
