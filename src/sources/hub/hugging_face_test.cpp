#include "sources/hub/test_hub.h"

#include <atomic>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::json_answer;
using testing::kCommit;
using ::testing::Not;
using testing::Peer;
using testing::Seen;
using testing::settings_for;
using testing::status_answer;
using testing::TestServer;

const std::string kBlob(40, 'b');
const std::string kSha(64, 'a');

std::string small_entry(std::string_view path, std::uint64_t size) {
  return fmt::format(R"({{"type":"file","oid":"{}","size":{},"path":"{}"}})", kBlob, size, path);
}
std::string large_entry(std::string_view path, std::uint64_t size) {
  return fmt::format(
      R"({{"type":"file","oid":"{}","size":{},"path":"{}","lfs":{{"oid":"{}","size":{},"pointerSize":135}}}})",
      kBlob, size, path, kSha, size);
}

// A server that resolves "main" and gives `page` as the tree.
testing::Script tree_of(std::string page) {
  return [page = std::move(page)](Peer& peer, const Seen& request) {
    const bool is_tree = request.target.find("/tree/") != std::string::npos;
    peer.send(json_answer(is_tree ? page : fmt::format(R"({{"sha":"{}"}})", kCommit)));
  };
}

Result<HubListing> list(const TestServer& server, std::string_view name,
                        std::string_view token = "") {
  return list_repository(parse_hub_name(name).value(), settings_for(server, token));
}

Error refusal(const TestServer& server, std::string_view name, std::string_view token = "") {
  auto listing = list(server, name, token);
  return listing ? Error{.message = "no error"} : listing.error();
}

TEST(HuggingFace, ListsTheCommitThatTheRevisionIs) {
  const TestServer server(
      tree_of(fmt::format(R"([{},{{"type":"directory","oid":"d","size":0,"path":"sub"}},{}])",
                          large_entry("sub/a b#1.gguf", 5), small_entry("README.md", 3))));
  const auto listing = list(server, "hf:o/m@refs/pr/1");
  ASSERT_TRUE(listing) << listing.error().to_string();
  EXPECT_EQ(listing->commit, kCommit);
  EXPECT_THAT(listing->files,
              ElementsAre(HubFile{"README.md",
                                  {3},
                                  {DigestKind::git_blob, kBlob},
                                  server.url("/o/m/resolve/" + kCommit + "/README.md")},
                          HubFile{"sub/a b#1.gguf",
                                  {5},
                                  {DigestKind::sha256, kSha},
                                  server.url("/o/m/resolve/" + kCommit + "/sub/a%20b%231.gguf")}));
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 2);
  EXPECT_EQ(seen[0].target, "/api/models/o/m/revision/refs%2Fpr%2F1");
  EXPECT_EQ(seen[1].target, "/api/models/o/m/tree/" + kCommit + "?recursive=true");
}

TEST(HuggingFace, TakesACommitAsItIs) {
  const TestServer server(tree_of("[]"));
  ASSERT_TRUE(list(server, "hf:o/m@" + kBlob));
  ASSERT_EQ(server.seen().size(), 1);
  EXPECT_THAT(server.seen()[0].target, HasSubstr("/tree/" + kBlob));
}

TEST(HuggingFace, FollowsPages) {
  std::string next;
  const TestServer server([&](Peer& peer, const Seen& request) {
    if (request.target.ends_with("cursor=2")) {
      return void(peer.send(json_answer("[" + small_entry("b", 1) + "]")));
    }
    peer.send(
        json_answer("[" + small_entry("a", 1) + "]", "Link: <" + next + ">; rel=\"next\"\r\n"));
  });
  next = server.url("/api/models/o/m/tree/" + kCommit + "?recursive=true&cursor=2");
  const auto listing = list(server, "hf:o/m@" + kCommit, "t0ken");
  ASSERT_TRUE(listing) << listing.error().to_string();
  EXPECT_EQ(listing->files.size(), 2);
  for (const auto& request : server.seen()) {
    EXPECT_EQ(request.field("authorization"), "Bearer t0ken");
  }
}

TEST(HuggingFace, DoesNotFollowAPageToAnotherServer) {
  const TestServer other(tree_of("[]"));
  const TestServer server([&](Peer& peer, const Seen&) {
    peer.send(json_answer("[]", "Link: <" + other.url("/x") + ">; rel=\"next\"\r\n"));
  });
  EXPECT_THAT(refusal(server, "hf:o/m@" + kCommit, "t0ken").message, HasSubstr("another server"));
  EXPECT_TRUE(other.seen().empty());
}

TEST(HuggingFace, EndsWhereTheListDoesNot) {
  std::string next;
  const TestServer server([&](Peer& peer, const Seen&) {
    peer.send(json_answer("[]", "Link: <" + next + ">; rel=\"next\"\r\n"));
  });
  next = server.url("/again");
  EXPECT_THAT(refusal(server, "hf:o/m@" + kCommit).message, HasSubstr("no end"));
}

TEST(HuggingFace, RefusesPathsOutOfTheRepository) {
  for (const auto* path : {"../../etc/passwd", "/etc/passwd", "a/../../b", "a\\\\..\\\\b", "",
                           "a//b", "./a", "a\\u0000b", "a\\nb"}) {
    const TestServer server(tree_of("[" + small_entry("ok", 1) + "," + small_entry(path, 1) + "]"));
    const auto error = refusal(server, "hf:o/m");
    EXPECT_EQ(error.code, ErrorCode::corrupt) << path;
    EXPECT_THAT(error.message, HasSubstr("nothing of it is read")) << path;
  }
}

TEST(HuggingFace, RefusesBrokenLists) {
  for (const std::string& page :
       {std::string("{}"), std::string("[1"), std::string("<html>"),
        std::string(R"([{"type":"file","path":"a","oid":"x","size":1}])"),
        fmt::format(R"([{{"type":"file","path":"a","oid":"{}","size":-1}}])", kBlob),
        fmt::format(R"([{{"type":"file","path":"a","oid":"{}"}}])", kBlob),
        fmt::format(
            R"([{{"type":"file","path":"a","oid":"{}","size":1,"lfs":{{"oid":"x","size":1}}}}])",
            kBlob),
        "[" + small_entry("a", 1) + "," + small_entry("a", 2) + "]"}) {
    const TestServer server(tree_of(page));
    EXPECT_EQ(refusal(server, "hf:o/m").code, ErrorCode::corrupt) << page;
  }
  const TestServer server([](Peer& peer, const Seen&) { peer.send(json_answer("{}")); });
  EXPECT_THAT(refusal(server, "hf:o/m").message, HasSubstr("names no commit"));
}

TEST(HuggingFace, NamesWhereTheTokenThatItDoesNotAcceptIsFrom) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send(status_answer("401 Unauthorized", "X-Error-Message: Invalid credentials\r\n"));
  });
  auto settings = settings_for(server, "t0ken");
  settings.hugging_face.token_place = "/home/me/.cache/huggingface/token";
  const auto listing = list_repository(*parse_hub_name("hf:o/m"), settings);
  ASSERT_FALSE(listing);
  EXPECT_THAT(listing.error().message,
              HasSubstr("does not accept the token in /home/me/.cache/huggingface/token"));
}

TEST(HuggingFace, SaysWhatRefusalsMean) {
  struct Case {
    const char* status;
    std::string fields;
    std::string_view token;
    ErrorCode code;
    std::string words;
  };
  for (const auto& c : std::vector<Case>{
           {"401 Unauthorized", "X-Error-Code: GatedRepo\r\n", "", ErrorCode::unauthenticated,
            "HF_TOKEN"},
           {"403 Forbidden", "X-Error-Code: GatedRepo\r\nX-Error-Message: ask the authors\r\n",
            "t0ken", ErrorCode::permission_denied, "it says: ask the authors"},
           {"401 Unauthorized", "X-Error-Code: RepoNotFound\r\n", "", ErrorCode::not_found,
            "HF_TOKEN"},
           {"404 Not Found", "X-Error-Code: RepoNotFound\r\n", "t0ken", ErrorCode::not_found,
            "the token's account"},
           {"404 Not Found", "X-Error-Code: RevisionNotFound\r\n", "", ErrorCode::not_found,
            "no branch, tag or commit \"v9\""},
           {"404 Not Found", "X-Error-Code: EntryNotFound\r\n", "", ErrorCode::not_found,
            "no such file"},
           {"404 Not Found", "", "", ErrorCode::not_found, "see that the name is right"},
           {"401 Unauthorized", "X-Error-Message: Invalid credentials in Authorization header\r\n",
            "t0ken", ErrorCode::unauthenticated, "does not accept the token in HF_TOKEN"},
           {"403 Forbidden", "X-Error-Message: no\r\n", "t0ken", ErrorCode::permission_denied,
            "does not allow it (it says: no)"},
       }) {
    const TestServer server(
        [&](Peer& peer, const Seen&) { peer.send(status_answer(c.status, c.fields)); });
    const auto error = refusal(server, "hf:o/m@v9", c.token);
    EXPECT_EQ(error.code, c.code) << c.status << c.fields;
    EXPECT_EQ(error.field, "source");
    EXPECT_THAT(error.message,
                AllOf(HasSubstr("hf:o/m@v9"), HasSubstr(c.words), Not(HasSubstr("t0ken"))));
    EXPECT_EQ(server.seen().size(), 1) << c.status;
  }
  const TestServer gated([](Peer& peer, const Seen&) {
    peer.send(status_answer("401 Unauthorized", "X-Error-Code: GatedRepo\r\n"));
  });
  EXPECT_THAT(refusal(gated, "hf:o/m").message,
              HasSubstr("accept its terms at " + gated.url("/o/m")));
}

TEST(HuggingFace, TriesAgainWhenToldToAndNotWhenThatIsLong) {
  std::atomic<int> asked = 0;
  const auto tree = tree_of("[]");
  const TestServer server([&](Peer& peer, const Seen& request) {
    const int attempt = ++asked;
    if (attempt == 1) return void(peer.send(status_answer("503 Busy")));
    if (attempt == 2) return void(peer.send(status_answer("429 Slow", "Retry-After: 0\r\n")));
    tree(peer, request);
  });
  EXPECT_TRUE(list(server, "hf:o/m"));
  const TestServer busy([](Peer& peer, const Seen&) {
    peer.send(status_answer("429 Slow", "Retry-After: 3000\r\n"));
  });
  const auto error = refusal(busy, "hf:o/m");
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, HasSubstr("it asks to wait for 3000 s"));
  EXPECT_EQ(busy.seen().size(), 1);
}

TEST(HuggingFace, FollowsARenamedRepositoryWithTheToken) {
  const auto tree = tree_of("[" + small_entry("a", 1) + "]");
  const TestServer server([&](Peer& peer, const Seen& request) {
    constexpr std::string_view kOld = "/api/models/o/old/";
    if (!request.target.starts_with(kOld)) return tree(peer, request);
    peer.send(status_answer(
        "307 Moved", "Location: /api/models/o/new/" + request.target.substr(kOld.size()) + "\r\n"));
  });
  const auto listing = list(server, "hf:o/old", "t0ken");
  ASSERT_TRUE(listing) << listing.error().to_string();
  EXPECT_EQ(listing->files.size(), 1);
  ASSERT_EQ(server.seen().size(), 4);
  EXPECT_EQ(server.seen()[3].field("authorization"), "Bearer t0ken");
}

TEST(HuggingFace, EndsInTime) {
  const TestServer server([](Peer& peer, const Seen&) {
    while (peer.pause(std::chrono::milliseconds(5))) {
    }
  });
  auto settings = settings_for(server);
  settings.http.total = std::chrono::milliseconds(100);
  const auto listing = list_repository(parse_hub_name("hf:o/m").value(), settings);
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, ErrorCode::timeout);
}

TEST(HuggingFace, AsksNobodyOffline) {
  const TestServer server(tree_of("[]"));
  auto settings = settings_for(server);
  settings.offline = true;
  for (const auto* name : {"hf:o/m", "ms:o/m", "ollama:m"}) {
    const auto listing = list_repository(parse_hub_name(name).value(), settings);
    ASSERT_FALSE(listing);
    EXPECT_THAT(listing.error().message, HasSubstr("HF_HUB_OFFLINE"));
  }
  EXPECT_TRUE(server.seen().empty());
}

}  // namespace
}  // namespace berth::sources
