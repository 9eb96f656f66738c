// Proxies and authorities as the environment names them; with real TLS in
// tests/system/test_web_proxy.py.
#include "sources/range_reader.h"
#include "sources/test_server.h"
#include "sources/web_settings.h"

#include <cstdlib>
#include <map>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::status_answer;
using testing::TestServer;

constexpr std::string_view kFile = "the bytes of a model";
// Of a proxy, as it must not stand in any message.
constexpr const char* kSecret = "s3cret";

void serve_file(Peer& peer, const Seen& request) { peer.send(part_answer(request, kFile)); }

// Sets variables as long as it lives; the other ones of their kind are not set meanwhile.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& variables) {
    for (const char* name : kNames) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
    }
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    for (const char* name : kNames) ::unsetenv(name);
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  static constexpr const char* kNames[] = {"http_proxy",     "HTTP_PROXY",   "https_proxy",
                                           "HTTPS_PROXY",    "all_proxy",    "ALL_PROXY",
                                           "no_proxy",       "NO_PROXY",     "SSL_CERT_FILE",
                                           "CURL_CA_BUNDLE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"};
  std::map<std::string, std::string> before_;
};

Result<std::unique_ptr<formats::ByteSource>> open(const std::string& url) {
  RangeOptions options;
  options.http.retries.first_pause = std::chrono::milliseconds(2);
  return open_url(url, options);
}

std::string with_user(const TestServer& proxy) {
  return fmt::format("http://me:{}@127.0.0.1:{}", kSecret, proxy.port());
}

TEST(Proxy, IsTheOneThatAVariableNamesForTheScheme) {
  const TestServer proxy(serve_file);
  for (const char* name : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) {
    const Environment environment({{name, with_user(proxy)}});
    EXPECT_TRUE(open("http://model.example/m")) << name;
    const auto seen = proxy.seen();
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back().target, "http://model.example/m") << name;
    EXPECT_EQ(seen.back().field("proxy-authorization"), "Basic bWU6czNjcmV0");
  }
  EXPECT_EQ(proxy.seen().size(), 4);
}

TEST(Proxy, IsNotAskedForHostsThatNeedNone) {
  const TestServer proxy(serve_file);
  const TestServer server(serve_file);
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    const Environment environment({{"HTTP_PROXY", proxy.url("")}, {name, "x.example,127.0.0.1"}});
    EXPECT_TRUE(open(server.url("/m"))) << name;
  }
  EXPECT_TRUE(proxy.seen().empty());
  EXPECT_EQ(server.seen().size(), 2);
}

TEST(Proxy, IsAskedForTheWayToAnHttpsServer) {
  struct Case {
    std::string_view status;
    ErrorCode code;
    std::string_view words;
    std::size_t requests;
  };
  for (const Case& c : {
           Case{"407 Who", ErrorCode::unauthenticated, "wants another user or password", 1},
           Case{"403 No", ErrorCode::permission_denied, "opens no way to model.example", 1},
           Case{"502 Bad", ErrorCode::unavailable, "opens no way to model.example", 4},
       }) {
    const TestServer proxy([&](Peer& peer, const Seen&) { peer.send(status_answer(c.status)); });
    const Environment environment({{"HTTPS_PROXY", with_user(proxy)}});
    const auto error = open("https://model.example/m").error();
    EXPECT_EQ(error.code, c.code) << c.status;
    EXPECT_THAT(error.message,
                AllOf(HasSubstr(c.words), HasSubstr(fmt::format("127.0.0.1:{}", proxy.port())),
                      HasSubstr("HTTPS_PROXY"), Not(HasSubstr(kSecret))));
    const auto seen = proxy.seen();
    ASSERT_EQ(seen.size(), c.requests) << c.status;
    EXPECT_EQ(seen[0].target, "model.example:443");
    EXPECT_EQ(seen[0].field("proxy-authorization"), "Basic bWU6czNjcmV0");
  }
}

TEST(Proxy, ThatWantsAUserForAnHttpAddressIsNamed) {
  const TestServer proxy([](Peer& peer, const Seen&) { peer.send(status_answer("407 Who")); });
  const Environment environment({{"http_proxy", with_user(proxy)}});
  const auto error = open("http://model.example/m").error();
  EXPECT_EQ(error.code, ErrorCode::unauthenticated);
  EXPECT_THAT(error.message, AllOf(HasSubstr("http_proxy"), Not(HasSubstr(kSecret))));
}

TEST(Proxy, ThatIsNotThereIsNamed) {
  int port = 0;
  {
    const TestServer gone(serve_file);
    port = gone.port();
  }
  const Environment environment(
      {{"ALL_PROXY", fmt::format("http://me:{}@127.0.0.1:{}", kSecret, port)}});
  for (const char* url : {"http://model.example/m", "https://model.example/m"}) {
    const auto error = open(url).error();
    EXPECT_EQ(error.code, ErrorCode::unavailable);
    EXPECT_THAT(error.message,
                AllOf(HasSubstr(fmt::format(
                          "model.example through the proxy 127.0.0.1:{} (of ALL_PROXY)", port)),
                      Not(HasSubstr(kSecret))));
  }
}

TEST(Proxy, ThatCurlDoesNotUnderstandIsRefusedByItsVariable) {
  const std::string endless = "http://me:s3cret@" + std::string(400, 'x') + ":y";
  for (const char* value :
       {"gopher://me:s3cret@proxy.example:1", "http://me:s3cret@:99999", endless.c_str()}) {
    const Environment environment({{"https_proxy", value}});
    const auto error = open("https://model.example/m").error();
    EXPECT_EQ(error.code, ErrorCode::invalid_parameter) << value;
    EXPECT_THAT(error.message, AllOf(HasSubstr("https_proxy holds no address of a proxy"),
                                     Not(HasSubstr(kSecret))));
  }
}

TEST(Authorities, AreOfTheFirstVariableThatSaysSomething) {
  const Environment environment({{"SSL_CERT_FILE", ""},
                                 {"CURL_CA_BUNDLE", "/a.pem"},
                                 {"REQUESTS_CA_BUNDLE", "/b.pem"},
                                 {"SSL_CERT_DIR", "/c"}});
  EXPECT_EQ(authorities().file, "/a.pem");
  EXPECT_EQ(authorities().file_variable, "CURL_CA_BUNDLE");
  EXPECT_EQ(authorities().folder, "/c");
}

TEST(Authorities, MayBeAFolderWhereRequestsHasThem) {
  const Environment environment({{"REQUESTS_CA_BUNDLE", "/tmp"}});
  EXPECT_EQ(authorities().file, "");
  EXPECT_EQ(authorities().folder, "/tmp");
  EXPECT_EQ(authorities().folder_variable, "REQUESTS_CA_BUNDLE");
}

}  // namespace
}  // namespace berth::sources
