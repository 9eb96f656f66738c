#include "process/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

namespace berth::process {
namespace {

// Listens on a loopback port until destruction.
class Listener {
 public:
  explicit Listener(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(port);
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(fd_); }

 private:
  int fd_;
};

// A few neighbouring ports that are free now, each test its own.
PortRange free_range(std::uint16_t size) {
  PortLeases all;
  for (;;) {
    const auto first = all.lease();
    if (!first) ADD_FAILURE() << first.error().message;
    std::uint16_t count = 1;
    while (first && count < size && *first + count <= all.range().last) {
      const auto next = all.lease();
      if (!next || *next != *first + count) break;
      ++count;
    }
    if (!first || count == size) {
      return {first.value_or(1), static_cast<std::uint16_t>(first.value_or(1) + size - 1)};
    }
  }
}

TEST(PortLeases, GivesEachPortOnceAndSaysWhenNoneIsLeft) {
  PortLeases leases(free_range(3));
  const auto ports = leases.lease(3);
  ASSERT_TRUE(ports) << ports.error().message;
  EXPECT_EQ(std::set<std::uint16_t>(ports->begin(), ports->end()).size(), 3U);
  const auto none = leases.lease();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::resource_exhausted);
  EXPECT_THAT(none.error().message, ::testing::HasSubstr("3 are leased"));
}

TEST(PortLeases, GivesAReleasedPortAgain) {
  PortLeases leases(free_range(1));
  const auto port = leases.lease();
  ASSERT_TRUE(port);
  leases.release(*port);
  EXPECT_EQ(leases.lease().value_or(0), *port);
}

TEST(PortLeases, GivesAllOrNone) {
  PortLeases leases(free_range(2));
  EXPECT_FALSE(leases.lease(3));
  EXPECT_EQ(leases.leased(), 0U);
}

TEST(PortLeases, PassesOverAPortThatSomebodyListensOn) {
  const PortRange range = free_range(2);
  PortLeases leases(range);
  const Listener listener(range.first);
  EXPECT_EQ(leases.lease().value_or(0), range.last);
  EXPECT_FALSE(leases.lease());
}

TEST(PortLeases, HoldsThePortsOfAdoptedEngines) {
  const PortRange range = free_range(2);
  PortLeases leases(range);
  ASSERT_TRUE(leases.hold(range.first));
  EXPECT_EQ(leases.hold(range.first).error().code, ErrorCode::conflict);
  EXPECT_EQ(leases.lease().value_or(0), range.last);
}

TEST(PortLeases, AreDistinctAcrossThreads) {
  PortLeases leases;
  std::mutex mutex;
  std::set<std::uint16_t> seen;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const auto port = leases.lease();
        const std::lock_guard lock(mutex);
        if (port) seen.insert(*port);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(seen.size(), 200U);
}

TEST(PortLeases, AreOutsideTheEphemeralRange) {
  const PortRange ephemeral = ephemeral_range();
  const PortRange range = PortLeases().range();
  EXPECT_TRUE(range.last < ephemeral.first || range.first > ephemeral.last);
}

TEST(PortRange, AvoidsTheEphemeralRange) {
  const PortRange wanted{20000, 29999};
  const struct {
    PortRange ephemeral;
    PortRange expected;
  } cases[] = {
      {{32768, 60999}, {20000, 29999}}, {{25000, 60999}, {20000, 24999}},
      {{10000, 22000}, {22001, 29999}}, {{28000, 28999}, {20000, 27999}},
      {{15000, 65000}, {1024, 14999}},  {{1024, 50000}, {50001, 65535}},
      {{1, 65535}, {20000, 29999}},
  };
  for (const auto& [ephemeral, expected] : cases) {
    EXPECT_EQ(outside_of(wanted, ephemeral), expected)
        << ephemeral.first << " to " << ephemeral.last;
  }
}

}  // namespace
}  // namespace berth::process
