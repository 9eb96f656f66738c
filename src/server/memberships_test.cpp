#include "server/memberships.h"

#include "base/ids.h"
#include "server/certificate_watch.h"
#include "store/sqlite_store.h"

#include <filesystem>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using std::chrono::hours;

class MembershipsTest : public ::testing::Test {
 protected:
  MembershipsTest() {
    std::filesystem::create_directory(data_.root);
    store_ = store::open_sqlite(data_.database()).value();
    identity_ = ClusterIdentity::open(data_, clock_).value();
    members_.emplace(*store_, *identity_, clock_);
  }
  ~MembershipsTest() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(data_.root, ignored);
  }

  std::string secret(Duration lifetime = hours(1), bool local = false) {
    const auto made = members_->create_token(lifetime, local).value();
    return cluster::parse_token(made.text).value().secret;
  }
  Result<cluster::Membership> join(std::string_view by, const std::string& worker,
                                   const std::string& key) {
    return members_->join(
        by, {.worker = worker, .version = "1.0.0", .request = cluster::make_request(key).value()});
  }
  static net::Request showing(const cluster::Membership& membership) {
    const auto facts = cluster::read_certificate(membership.certificate).value();
    net::Request request;
    request.certificate = std::make_shared<net::PeerCertificate>(
        net::PeerCertificate{.name = facts.name, .serial = facts.serial});
    return request;
  }
  // What was written down, as another server finds it.
  void restart() {
    members_.emplace(*store_, *identity_, clock_);
    ASSERT_TRUE(members_->load());
  }

  ManualClock clock_;
  DataFolder data_{std::filesystem::temp_directory_path() / ("berth-members-" + random_id())};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ClusterIdentity> identity_;
  std::optional<Memberships> members_;
  std::string key_ = cluster::make_key().value();
};

TEST_F(MembershipsTest, AMachineWithATokenBecomesAMember) {
  const auto joined = join(secret(), "box", key_);
  ASSERT_TRUE(joined) << joined.error().to_string();
  EXPECT_EQ(joined->cluster, identity_->cluster());
  EXPECT_EQ(joined->valid_for, 90 * 86'400);
  EXPECT_EQ(joined->renew_after, 60 * 86'400);
  for (int i = 0; i < 2; ++i) {
    const auto member = members_->authenticate(showing(*joined));
    ASSERT_TRUE(member) << member.error().to_string();
    EXPECT_EQ(member->worker, "box");
    EXPECT_FALSE(member->local);
    restart();
  }
}

TEST_F(MembershipsTest, ATokenIsGoodForAnyNumberOfMachinesUntilItEnds) {
  const auto by = secret(hours(1));
  EXPECT_TRUE(join(by, "one", key_));
  EXPECT_TRUE(join(by, "two", cluster::make_key().value()));
  clock_.advance(hours(1));
  const auto late = join(by, "three", cluster::make_key().value());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::unauthenticated);
  EXPECT_EQ(late.error().field, "token");
  EXPECT_FALSE(join("berth_unknown", "three", key_));
}

TEST_F(MembershipsTest, ANameStaysWithItsKeyUntilTheWorkerIsRemoved) {
  const auto first = join(secret(), "box", key_).value();
  EXPECT_TRUE(join(secret(), "box", key_)) << "the same machine";
  const auto other = cluster::make_key().value();
  const auto taken = join(secret(), "box", other);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::conflict);
  EXPECT_EQ(taken.error().field, "worker");
  ASSERT_TRUE(members_->revoke("box"));
  EXPECT_FALSE(members_->authenticate(showing(first)));
  EXPECT_TRUE(join(secret(), "box", other));
}

TEST_F(MembershipsTest, TheLocalWorkerMayComeWithAnotherKey) {
  EXPECT_TRUE(join(secret(hours(1), true), "box", key_));
  EXPECT_TRUE(join(secret(hours(1), true), "box", cluster::make_key().value()));
  EXPECT_FALSE(join(secret(), "box", cluster::make_key().value())) << "a stranger";
  EXPECT_TRUE(join(secret(), "far", key_));
  EXPECT_FALSE(join(secret(hours(1), true), "far", cluster::make_key().value()));
}

TEST_F(MembershipsTest, RefusesNamesThatCanNotStandInAddressesAndPaths) {
  for (const std::string name : {"", "Box", "a/b", "a b", "../x", ".x", "a:b"}) {
    const auto refused = join(secret(), name, key_);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().field, "worker");
  }
  EXPECT_FALSE(join(secret(), std::string(64, 'a'), key_));
}

TEST_F(MembershipsTest, ACertificateEndsAndMayBeRenewedBefore) {
  const auto joined = join(secret(), "box", key_).value();
  clock_.advance(hours(24 * 60));
  const auto due = members_->authenticate(showing(joined));
  ASSERT_TRUE(due);
  EXPECT_EQ(due->renew_after, 0);
  const auto renewed = members_->renew(*due, cluster::make_request(key_).value()).value();
  EXPECT_TRUE(members_->authenticate(showing(joined))) << "it may not have got the new one";
  clock_.advance(hours(24 * 30));
  const auto ended = members_->authenticate(showing(joined));
  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().to_string().find("ended"), std::string::npos);
  EXPECT_TRUE(members_->authenticate(showing(renewed)));
}

TEST_F(MembershipsTest, KeepsTwoCertificatesOfAWorker) {
  const auto first = join(secret(), "box", key_).value();
  const auto member = members_->authenticate(showing(first)).value();
  clock_.advance(hours(1));
  const auto second = members_->renew(member, cluster::make_request(key_).value()).value();
  clock_.advance(hours(1));
  const auto third = members_->renew(member, cluster::make_request(key_).value()).value();
  EXPECT_FALSE(members_->authenticate(showing(first)));
  EXPECT_TRUE(members_->authenticate(showing(second)));
  restart();
  EXPECT_TRUE(members_->authenticate(showing(third)));
  EXPECT_FALSE(members_->authenticate(showing(first)));
}

TEST_F(MembershipsTest, ASerialOfOursUnderAnotherNameIsNobody) {
  auto request = showing(join(secret(), "box", key_).value());
  auto forged = *request.certificate;
  forged.name = cluster::server_name(identity_->cluster());
  request.certificate = std::make_shared<net::PeerCertificate>(forged);
  EXPECT_FALSE(members_->authenticate(request));
  EXPECT_FALSE(members_->authenticate(net::Request()));
}

TEST_F(MembershipsTest, KnowsWhetherOtherMachinesMayCome) {
  EXPECT_FALSE(members_->has_remote().value());
  const auto local = secret(hours(1), true);
  EXPECT_TRUE(join(local, "here", key_));
  EXPECT_FALSE(members_->has_remote().value());
  EXPECT_FALSE(secret(hours(1)).empty());
  EXPECT_TRUE(members_->has_remote().value()) << "a token";
  clock_.advance(hours(2));
  EXPECT_FALSE(members_->has_remote().value());
  EXPECT_TRUE(join(secret(), "far", cluster::make_key().value()));
  clock_.advance(hours(2));
  EXPECT_TRUE(members_->has_remote().value()) << "a member";
}

TEST_F(MembershipsTest, TheServersCertificateIsRenewedInTime) {
  const auto before = identity_->server_ends();
  clock_.advance(hours(24 * 59));
  ASSERT_TRUE(identity_->renew_if_due());
  EXPECT_EQ(identity_->server_ends(), before);
  clock_.advance(hours(24 * 2));
  ASSERT_TRUE(identity_->renew_if_due());
  EXPECT_GT(identity_->server_ends(), before);
}

TEST_F(MembershipsTest, TheClusterIsTheSameAfterARestart) {
  const auto fingerprint = identity_->fingerprint();
  const auto again = ClusterIdentity::open(data_, clock_).value();
  EXPECT_EQ(again->fingerprint(), fingerprint);
  EXPECT_EQ(again->cluster(), identity_->cluster());
  EXPECT_EQ(again->server_ends(), identity_->server_ends());
}

TEST_F(MembershipsTest, ADamagedAuthorityIsNeverReplaced) {
  std::filesystem::resize_file(data_.cluster() / "ca.pem", 20);
  const auto opened = ClusterIdentity::open(data_, clock_);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().to_string().find("backup"), std::string::npos);
}

TEST_F(MembershipsTest, TellsWhenCertificatesEnd) {
  const auto joined = join(secret(), "box", key_).value();
  const auto figures = certificate_figures(*identity_, *members_);
  const auto ends = cluster::read_certificate(joined.certificate)->ends;
  EXPECT_NE(
      figures.find("worker=\"box\"} " + std::to_string(std::chrono::system_clock::to_time_t(ends))),
      std::string::npos)
      << figures;
  clock_.advance(hours(24 * 80));
  const auto events_of = [&] {
    return store_->list_events({.kind = "worker", .name = "box"}, 10).value().size();
  };
  const auto before = events_of();
  CertificateWatch watch(*store_, *identity_, *members_, clock_);
  watch.look();
  watch.look();
  EXPECT_EQ(events_of(), before + 1) << "once";
}

}  // namespace
}  // namespace berth::server
