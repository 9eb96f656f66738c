// Ollama's models: blobs, and the manifests without which its server removes them.
#include "sources/cache/cache_test_support.h"

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

using testing::Contents;
using testing::file_of;
using testing::files_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::OtherProcessLock;
using testing::Peer;
using testing::Seen;
using testing::TestServer;

const std::string kWeights = file_of(3 * testing::kChunk.count);
const Contents kModel{{"model.gguf", kWeights}, {"template", "{{ .Prompt }}"}};
const std::string kConfig = R"({"model_format":"gguf"})";

std::string layer(std::string_view type, std::string_view content) {
  return fmt::format(R"({{"mediaType":"{}","digest":"sha256:{}","size":{}}})", type,
                     sha256_hex(content), content.size());
}
std::string manifest(const Contents& contents) {
  std::string layers;
  for (const auto& [path, content] : contents) {
    layers += layers.empty() ? "" : ",";
    layers +=
        layer(fmt::format("application/vnd.ollama.image.{}", path == "model.gguf" ? "model" : path),
              content);
  }
  return fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})",
                     layer("application/vnd.docker.container.image.v1+json", kConfig), layers);
}

class OllamaCache : public testing::CacheTest {
 protected:
  // A registry whose tag is at this manifest.
  static testing::Script registry(const std::string& text) {
    return [text](Peer& peer, const Seen& seen) {
      if (seen.target.find("/manifests/") != std::string::npos) {
        return void(peer.send(testing::json_answer(text)));
      }
      Contents all = kModel;
      all["config"] = kConfig;
      hub_with(all)(peer, seen);
    };
  }
  [[nodiscard]] fs::path blob(std::string_view content) const {
    return places_.ollama / "blobs" / ("sha256-" + sha256_hex(content));
  }
  [[nodiscard]] fs::path manifest_path(const TestServer& server) const {
    return places_.ollama / "manifests" / fmt::format("127.0.0.1:{}", server.port()) / "library" /
           "m" / "latest";
  }

  const std::string manifest_ = manifest(kModel);
  model::RepositoryFiles files_ = files_of(Hub::ollama, kModel, sha256_hex(manifest_));
};

TEST_F(OllamaCache, GetsBlobsAndTheManifest) {
  const TestServer server(registry(manifest_));
  EXPECT_FALSE(is_cached(files_));
  const auto fetched = fetch(server, files_);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->folder, "");  // the files have no names there
  EXPECT_EQ(fetched->paths.at("model.gguf"), blob(kWeights));
  EXPECT_EQ(text_of(blob(kWeights)), kWeights);
  EXPECT_EQ(text_of(blob(kConfig)), kConfig);  // which only Ollama needs
  EXPECT_EQ(text_of(manifest_path(server)), manifest_);
  // Its server removes what has no digest for a name.
  for (const auto& line : tree(places_.ollama / "blobs")) {
    EXPECT_THAT(line, ::testing::MatchesRegex("sha256-[0-9a-f]+"));
  }
  const auto asked = server.seen().size();
  EXPECT_TRUE(fetch(server, files_));
  EXPECT_EQ(server.seen().size(), asked);
}

TEST_F(OllamaCache, GivesTheFilesWhereTheTagHasMovedOn) {
  const TestServer server(registry(manifest({{"model.gguf", "other"}})));
  const auto fetched = fetch(server, files_);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_TRUE(is_cached(files_));
  EXPECT_FALSE(fs::exists(places_.ollama / "manifests"));
}

TEST_F(OllamaCache, GivesTheFilesWhereTheManifestIsRefused) {
  const TestServer server([](Peer& peer, const Seen& seen) {
    if (seen.target.find("/manifests/") != std::string::npos) {
      return void(peer.send(testing::status_answer("404 Not Found")));
    }
    hub_with(kModel)(peer, seen);
  });
  EXPECT_TRUE(fetch(server, files_));
  EXPECT_FALSE(fs::exists(places_.ollama / "manifests"));
}

TEST_F(OllamaCache, IsFoundWhereItsServiceHasIt) {
  for (const auto& [path, content] : kModel) {
    put(places_.other_ollama[0] / "blobs" / ("sha256-" + sha256_hex(content)), content);
  }
  put(places_.other_ollama[0] / "manifests/registry.ollama.ai/library/m/latest", manifest_);
  const auto found = find_cached(files_, places_);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ(remove_cached(files_, places_).value(), 0_B);
  EXPECT_TRUE(is_cached(files_));
  const auto all = list_caches(places_);
  ASSERT_EQ(all.size(), 1);
  EXPECT_FALSE(all[0].writable);
  EXPECT_TRUE(list_cached(parse_hub_name("ollama:m").value(), places_));
}

TEST_F(OllamaCache, IsListedByItsManifests) {
  const TestServer server(registry(manifest_));
  ASSERT_TRUE(fetch(server, files_));
  put(places_.ollama / "manifests/registry.ollama.ai/library/broken/latest", "{");
  const auto all = list_caches(places_);
  ASSERT_EQ(all.size(), 1);
  EXPECT_EQ(all[0].repository, "library/m");
  EXPECT_EQ(all[0].revisions, "latest");
  EXPECT_EQ(all[0].commit, files_.commit);
  EXPECT_EQ(all[0].files, files_.files);
  EXPECT_EQ(all[0].size, total_size(files_));
  const auto listing = list_cached(parse_hub_name("ollama:m").value(), places_);
  ASSERT_TRUE(listing) << listing.error().to_string();
  EXPECT_EQ(listing->commit, files_.commit);
  EXPECT_EQ(listing->files.size(), 2);
}

TEST_F(OllamaCache, KeepsWhatAnotherModelNeeds) {
  const TestServer server(registry(manifest_));
  ASSERT_TRUE(fetch(server, files_));
  const fs::path other = places_.ollama / "manifests/registry.ollama.ai/me/other/v1";
  put(other, manifest({{"model.gguf", kWeights}}));
  EXPECT_EQ(remove_cached(files_, places_).value(), Bytes{kModel.at("template").size()});
  EXPECT_FALSE(fs::exists(manifest_path(server)));
  EXPECT_TRUE(fs::exists(blob(kWeights)));
  fs::remove(other);
  EXPECT_EQ(remove_cached(files_, places_).value(), Bytes{kWeights.size()});
  EXPECT_TRUE(fs::exists(blob(kConfig)));  // no manifest says that it was this model's
}

TEST_F(OllamaCache, RemovesNothingThatItIsNotSureOf) {
  const TestServer server(registry(manifest_));
  ASSERT_TRUE(fetch(server, files_));
  const fs::path broken = places_.ollama / "manifests/registry.ollama.ai/library/b/latest";
  put(broken, "{");
  const auto freed = remove_cached(files_, places_);
  ASSERT_FALSE(freed);
  EXPECT_EQ(freed.error().code, ErrorCode::corrupt);
  EXPECT_THAT(freed.error().message, HasSubstr(broken.string()));
  fs::remove(broken);
  {
    const OtherProcessLock other(places_.ollama / ".berth" /
                                 ("sha256-" + sha256_hex(kWeights) + ".lock"));
    EXPECT_EQ(remove_cached(files_, places_).error().code, ErrorCode::conflict);
  }
  EXPECT_TRUE(is_cached(files_));
  EXPECT_EQ(remove_cached(files_, places_).value(), total_size(files_) + Bytes{kConfig.size()});
  EXPECT_THAT(tree(places_.ollama / "blobs"), IsEmpty());
}

}  // namespace
}  // namespace berth::sources
