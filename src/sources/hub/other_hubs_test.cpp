// ModelScope and Ollama's registry.
#include "base/ids.h"
#include "sources/hub/test_hub.h"

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

const std::string kSha(64, 'a');

Result<HubListing> list(const TestServer& server, std::string_view name,
                        std::string_view token = "") {
  return list_repository(parse_hub_name(name).value(), settings_for(server, token));
}

testing::Script answering(std::string answer) {
  return [answer = std::move(answer)](Peer& peer, const Seen&) { peer.send(answer); };
}

Error refusal(std::string_view name, const std::string& answer, std::string_view token = "") {
  const TestServer server(answering(answer));
  auto listing = list(server, name, token);
  return listing ? Error{.message = "no error"} : listing.error();
}

TEST(ModelScope, ListsFilesWithSizeAndDigest) {
  const TestServer server(answering(json_answer(fmt::format(
      R"({{"Code":200,"Success":true,"Data":{{"LatestCommitter":{{"Id":"{}"}},"Files":[
        {{"Type":"tree","Path":"sub","Name":"sub","Size":0}},
        {{"Type":"blob","Path":"sub/m+1.gguf","Name":"m+1.gguf","Size":7,"Sha256":"{}"}},
        {{"Type":"blob","Path":"README.md","Name":"README.md","Size":2,"Sha256":""}}]}}}})",
      kCommit, kSha))));
  const auto listing = list(server, "ms:o/m@v1.0", "ms-t0ken");
  ASSERT_TRUE(listing) << listing.error().to_string();
  EXPECT_EQ(listing->commit, kCommit);
  EXPECT_THAT(
      listing->files,
      ElementsAre(
          HubFile{"README.md",
                  {2},
                  {},
                  server.url("/api/v1/models/o/m/repo?Revision=v1.0&FilePath=README.md")},
          HubFile{"sub/m+1.gguf",
                  {7},
                  {DigestKind::sha256, kSha},
                  server.url("/api/v1/models/o/m/repo?Revision=v1.0&FilePath=sub%2Fm%2B1.gguf")}));
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].target, "/api/v1/models/o/m/repo/files?Revision=v1.0&Recursive=True");
  EXPECT_EQ(seen[0].field("cookie"), "m_session_id=ms-t0ken");
  EXPECT_EQ(seen[0].field("authorization"), "");
}

TEST(ModelScope, TakesMasterWhereNoRevisionIsNamed) {
  const TestServer server(answering(json_answer(R"({"Code":200,"Data":{"Files":[]}})")));
  const auto listing = list(server, "ms:o/m");
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->commit, "");
  EXPECT_THAT(server.seen()[0].target, HasSubstr("Revision=master"));
  EXPECT_EQ(server.seen()[0].field("cookie"), "");
}

TEST(ModelScope, RefusesBrokenAndHostileLists) {
  for (const std::string& files :
       {std::string(R"({"Type":"blob","Path":"../x","Size":1})"),
        std::string(R"({"Type":"blob","Path":"/x","Size":1})"),
        std::string(R"({"Type":"blob","Path":"x"})"),
        std::string(R"({"Type":"blob","Path":"x","Size":1,"Sha256":"zz"})")}) {
    const auto answer = json_answer(R"({"Code":200,"Data":{"Files":[)" + files + "]}}");
    EXPECT_EQ(refusal("ms:o/m", answer).code, ErrorCode::corrupt) << files;
  }
  EXPECT_EQ(refusal("ms:o/m", json_answer("[]")).code, ErrorCode::corrupt);
}

TEST(ModelScope, SaysWhatRefusalsMean) {
  const auto absent = refusal("ms:o/m", status_answer("404 Not Found"));
  EXPECT_EQ(absent.code, ErrorCode::not_found);
  EXPECT_THAT(absent.message, HasSubstr("there is no ms:o/m"));
  const auto own = refusal("ms:o/m", json_answer(R"({"Code":10010205001,"Message":"gone"})"));
  EXPECT_THAT(own.message, HasSubstr("it says: gone"));
  const auto guarded = refusal("ms:o/m", status_answer("401 Unauthorized"));
  EXPECT_EQ(guarded.code, ErrorCode::unauthenticated);
  EXPECT_THAT(guarded.message, AllOf(HasSubstr("MODELSCOPE_API_TOKEN"), HasSubstr("/models/o/m")));
  const auto refused = refusal("ms:o/m", status_answer("403 Forbidden"), "ms-t0ken");
  EXPECT_EQ(refused.code, ErrorCode::permission_denied);
  EXPECT_THAT(refused.message, Not(HasSubstr("t0ken")));
}

std::string layer(std::string_view kind, std::uint64_t size) {
  return fmt::format(
      R"({{"mediaType":"application/vnd.ollama.image.{}","digest":"sha256:{}","size":{}}})", kind,
      kSha, size);
}
std::string manifest(const std::string& layers) {
  return R"({"schemaVersion":2,"config":{"digest":"sha256:c","size":1},"layers":[)" + layers + "]}";
}

TEST(Ollama, ListsTheLayersOfATagAsFiles) {
  const std::string body =
      manifest(layer("model", 9) + "," + layer("projector", 4) + "," + layer("license", 1) + "," +
               layer("license", 2) + R"(,{"mediaType":"text/plain","digest":"x","size":1})");
  const TestServer server(answering(json_answer(body)));
  const auto listing = list(server, "ollama:llama3.2:1b");
  ASSERT_TRUE(listing) << listing.error().to_string();
  EXPECT_EQ(listing->commit, sha256_hex(body));
  std::vector<std::string> paths;
  for (const auto& file : listing->files) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre("license", "license-2", "mmproj.gguf", "model.gguf"));
  EXPECT_EQ(*listing->find("model.gguf"),
            (HubFile{"model.gguf",
                     {9},
                     {DigestKind::sha256, kSha},
                     server.url("/v2/library/llama3.2/blobs/sha256:" + kSha)}));
  EXPECT_EQ(server.seen()[0].target, "/v2/library/llama3.2/manifests/1b");
  EXPECT_EQ(server.seen()[0].field("accept"),
            "application/vnd.docker.distribution.manifest.v2+json");
}

TEST(Ollama, TakesLatestWhereNoTagIsNamed) {
  const TestServer server(answering(json_answer(manifest(""))));
  ASSERT_TRUE(list(server, "ollama:me/own"));
  EXPECT_EQ(server.seen()[0].target, "/v2/me/own/manifests/latest");
}

TEST(Ollama, SaysWhatRefusalsMean) {
  const auto absent = refusal("ollama:m:9b", status_answer("404 Not Found"));
  EXPECT_EQ(absent.code, ErrorCode::not_found);
  EXPECT_THAT(absent.message, HasSubstr("not with the tag 9b"));
  EXPECT_EQ(refusal("ollama:m", json_answer(manifest(layer("tensor", 1)))).code,
            ErrorCode::unsupported);
  EXPECT_EQ(refusal("ollama:m", json_answer("{}")).code, ErrorCode::corrupt);
  EXPECT_EQ(refusal("ollama:m", json_answer(manifest(
                                    R"({"mediaType":"application/vnd.ollama.image.model",
                                        "digest":"sha256:../../x","size":1})")))
                .code,
            ErrorCode::corrupt);
}

}  // namespace
}  // namespace berth::sources
