#include "cluster/certificates.h"

#include "cluster/token.h"
#include "net/tls.h"

#include <gtest/gtest.h>

namespace berth::cluster {
namespace {

class CertificatesTest : public ::testing::Test {
 protected:
  ManualClock clock_;
  Credential authority_ = make_authority("c1", clock_.system_now()).value();
};

TEST_F(CertificatesTest, NameTheirOwnerAndEndAfterNinetyDays) {
  const auto request = make_request(make_key().value()).value();
  const auto made = sign(authority_, request, worker_name("c1", "box-1"), clock_.system_now());
  ASSERT_TRUE(made) << made.error().to_string();
  const auto facts = read_certificate(made->certificate).value();
  EXPECT_EQ(facts.name, "berth://c1/worker/box-1");
  EXPECT_EQ(facts.serial, made->serial);
  EXPECT_EQ(facts.begins, clock_.system_now() - kBackdated);
  EXPECT_EQ(facts.ends, clock_.system_now() + kMemberLifetime);
  EXPECT_EQ(facts.ends, made->ends);
}

TEST_F(CertificatesTest, NeverOutliveTheirAuthority) {
  const auto late = clock_.system_now() + kAuthorityLifetime - std::chrono::hours(24);
  const auto request = make_request(make_key().value()).value();
  EXPECT_EQ(sign(authority_, request, server_name("c1"), late)->ends,
            clock_.system_now() + kAuthorityLifetime);
}

TEST_F(CertificatesTest, HaveSerialsOfTheirOwn) {
  const auto request = make_request(make_key().value()).value();
  const auto one = sign(authority_, request, server_name("c1"), clock_.system_now()).value();
  const auto other = sign(authority_, request, server_name("c1"), clock_.system_now()).value();
  EXPECT_NE(one.serial, other.serial);
  EXPECT_GE(one.serial.size(), 31U);
}

TEST_F(CertificatesTest, TellWhichKeyARequestIsFor) {
  const auto key = make_key().value();
  const auto digest = key_digest_of_request(make_request(key).value()).value();
  EXPECT_EQ(key_digest_of_request(make_request(key).value()).value(), digest);
  EXPECT_NE(key_digest_of_request(make_request(make_key().value()).value()).value(), digest);
}

TEST_F(CertificatesTest, AreNotMadeOfBadRequests) {
  std::string request = make_request(make_key().value()).value();
  EXPECT_FALSE(sign(authority_, "no request", server_name("c1"), clock_.system_now()));
  request[request.size() / 2] = request[request.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(sign(authority_, request, server_name("c1"), clock_.system_now()));
}

TEST_F(CertificatesTest, AreNotMadeForNamesThatSayMore) {
  const auto request = make_request(make_key().value()).value();
  for (const char* worker : {"a,URI:berth://c1/server", "a\nb", "", "a b"}) {
    const std::string name = *worker == '\0' ? "" : worker_name("c1", worker);
    EXPECT_FALSE(sign(authority_, request, name, clock_.system_now())) << name;
  }
}

TEST(CertificateNames, AreReadBackForTheirOwnClusterOnly) {
  EXPECT_EQ(worker_of_name("berth://c1/worker/box", "c1"), "box");
  EXPECT_FALSE(worker_of_name("berth://c2/worker/box", "c1"));
  EXPECT_FALSE(worker_of_name("berth://c1/server", "c1"));
  EXPECT_FALSE(worker_of_name("berth://c1/worker/", "c1"));
}

TEST(JoinTokens, AreReadBack) {
  const JoinToken token{.fingerprint = std::string(64, 'a'),
                        .secret = "berth_" + std::string(43, 'x')};
  const auto read = parse_token(to_text(token)).value();
  EXPECT_EQ(read.fingerprint, token.fingerprint);
  EXPECT_EQ(read.secret, token.secret);
}

TEST(JoinTokens, ThatAreCutOrSomethingElseAreRefusedWithoutBeingRepeated) {
  const std::string whole = std::string(64, 'a') + ".berth_" + std::string(43, 'x');
  for (const auto& text : {std::string(), whole.substr(0, 80), whole.substr(1), whole + " -x",
                           std::string("berth_secret")}) {
    const auto read = parse_token(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().field, "token");
    if (!text.empty()) EXPECT_EQ(read.error().to_string().find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace berth::cluster
