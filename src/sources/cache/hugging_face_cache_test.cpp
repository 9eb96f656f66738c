// Hugging Face's cache: what is found in it, and how it is written.
#include "sources/cache/cache_test_support.h"

#include <thread>

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using testing::Contents;
using testing::file_of;
using testing::files_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kCommit;
using testing::kOtherCommit;
using ::testing::Not;
using testing::OtherProcessLock;
using testing::Peer;
using testing::Seen;
using testing::serve;
using testing::settings_for;
using testing::TestServer;

const Contents kModel{{"config.json", "{}"},
                      {"model.safetensors", file_of(3 * testing::kChunk.count)},
                      {"sub/dir/vocab.txt", "words"}};
const std::string kConfig = "9e26dfeeb6e641a33dae4961196235bdb965b21b";  // git hash-object

class HuggingFaceCache : public testing::CacheTest {
 protected:
  [[nodiscard]] fs::path repository() const { return places_.hugging_face / "models--org--na.me"; }
  [[nodiscard]] fs::path snapshot(const std::string& commit = kCommit) const {
    return repository() / "snapshots" / commit;
  }
  static std::string sha(const std::string& path) { return sha256_hex(kModel.at(path)); }
};

TEST_F(HuggingFaceCache, IsWrittenAsItsOwnToolsDo) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  EXPECT_FALSE(is_cached(files));
  const auto fetched = fetch(server, files);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->folder, snapshot());
  EXPECT_EQ(fetched->paths.at("sub/dir/vocab.txt"), snapshot() / "sub/dir/vocab.txt");
  for (const auto& [path, content] : kModel) EXPECT_EQ(text_of(fetched->paths.at(path)), content);

  const std::string weights = sha("model.safetensors");
  const std::string words = sha("sub/dir/vocab.txt");
  std::vector<std::string> expected{
      "models--org--na.me/blobs/" + kConfig,
      "models--org--na.me/blobs/" + weights,
      "models--org--na.me/blobs/" + words,
      "models--org--na.me/refs/main",
      "models--org--na.me/snapshots/" + kCommit + "/config.json -> ../../blobs/" + kConfig,
      "models--org--na.me/snapshots/" + kCommit + "/model.safetensors -> ../../blobs/" + weights,
      "models--org--na.me/snapshots/" + kCommit + "/sub/dir/vocab.txt -> ../../../../blobs/" +
          words,
      ".locks/models--org--na.me/" + kConfig + ".lock",
      ".locks/models--org--na.me/" + weights + ".lock",
      ".locks/models--org--na.me/" + words + ".lock"};
  std::ranges::sort(expected);
  EXPECT_EQ(tree(places_.hugging_face), expected);
  EXPECT_EQ(text_of(repository() / "refs/main"), kCommit);
  EXPECT_EQ(fs::status(places_.hugging_face / expected[0]).permissions() & fs::perms::group_write,
            fs::perms::group_write);

  const auto asked = server.seen().size();
  EXPECT_TRUE(is_cached(files));
  EXPECT_TRUE(fetch(server, files));
  EXPECT_EQ(server.seen().size(), asked);
}

TEST_F(HuggingFaceCache, IsReadAsItsToolsLeaveIt) {
  const auto files = files_of(Hub::hugging_face, kModel);
  // A blob as it is, one in the store that repositories share, and a file without a link.
  put(repository() / "blobs" / kConfig, "{}");
  link(snapshot() / "config.json", fs::path("../../blobs") / kConfig);
  put(places_.hugging_face / "blobs/aa/xet", kModel.at("model.safetensors"));
  link(repository() / "blobs" / sha("model.safetensors"), "../../blobs/aa/xet");
  link(snapshot() / "model.safetensors", fs::path("../../blobs") / sha("model.safetensors"));
  EXPECT_FALSE(is_cached(files));
  put(snapshot() / "sub/dir/vocab.txt", "words");
  const auto found = find_cached(files, places_);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->folder, snapshot());
  EXPECT_FALSE(is_cached(files_of(Hub::hugging_face, kModel, kOtherCommit)));
}

TEST_F(HuggingFaceCache, DoesNotTakeWhatIsNotTheFile) {
  const Contents one{{"config.json", "{}"}};
  const auto files = files_of(Hub::hugging_face, one);
  const fs::path entry = snapshot() / "config.json";
  put(entry, "{} ");
  EXPECT_FALSE(is_cached(files)) << "another size";
  fs::remove(entry);
  put(repository() / "blobs" / std::string(40, 'b'), "[]");
  link(entry, fs::path("../../blobs") / std::string(40, 'b'));
  EXPECT_FALSE(is_cached(files)) << "another digest";
  fs::remove(entry);
  put(folder_ / "elsewhere" / kConfig, "{}");
  link(entry, folder_ / "elsewhere" / kConfig);
  EXPECT_FALSE(is_cached(files)) << "a link out of the cache";
  fs::remove(entry);
  link(repository() / "blobs" / kConfig, folder_ / "elsewhere" / kConfig);
  link(entry, fs::path("../../blobs") / kConfig);
  EXPECT_FALSE(is_cached(files)) << "a blob that leads out of the cache";
}

TEST_F(HuggingFaceCache, MayBeALinkAsAWhole) {
  const TestServer server(hub_with(kModel));
  fs::create_directories(folder_ / "disk");
  link(places_.hugging_face, folder_ / "disk");
  const auto files = files_of(Hub::hugging_face, kModel);
  const auto fetched = fetch(server, files);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_TRUE(is_cached(files));
  EXPECT_TRUE(fs::exists(folder_ / "disk/models--org--na.me/blobs" / kConfig));
}

TEST_F(HuggingFaceCache, IsNotLeftThroughALink) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  fs::create_directories(folder_ / "elsewhere");
  for (const char* name : {"snapshots", "blobs", "refs"}) {
    fs::remove_all(places_.hugging_face);
    link(repository() / name, folder_ / "elsewhere");
    const auto fetched = fetch(server, files);
    ASSERT_FALSE(fetched) << name;
    EXPECT_EQ(fetched.error().code, ErrorCode::conflict);
    EXPECT_THAT(fetched.error().message,
                AllOf(HasSubstr("the source: "), HasSubstr(name), HasSubstr("leads out of")));
    EXPECT_THAT(tree(folder_ / "elsewhere"), IsEmpty());
  }
}

TEST_F(HuggingFaceCache, FetchesWhatCommitsAndPathsShareOnce) {
  Contents twice = kModel;
  twice["copy.safetensors"] = kModel.at("model.safetensors");
  const TestServer server(hub_with(twice));
  ASSERT_TRUE(fetch(server, files_of(Hub::hugging_face, kModel)));
  const auto asked = server.seen().size();
  const auto files = files_of(Hub::hugging_face, twice, kOtherCommit);
  ASSERT_FALSE(is_cached(files));
  const auto fetched = fetch(server, files);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(server.seen().size(), asked);
  EXPECT_EQ(text_of(snapshot(kOtherCommit) / "copy.safetensors"), twice["copy.safetensors"]);
  EXPECT_EQ(text_of(repository() / "refs/main"), kOtherCommit);
}

TEST_F(HuggingFaceCache, GivesAWrongFileNoName) {
  Contents wrong = kModel;
  wrong["model.safetensors"].back() ^= 1;
  const TestServer server(hub_with(wrong));
  const auto files = files_of(Hub::hugging_face, kModel);
  const auto fetched = fetch(server, files);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::corrupt);
  EXPECT_THAT(fetched.error().message, HasSubstr("the source: downloading model.safetensors: "));
  EXPECT_FALSE(fs::exists(fs::symlink_status(snapshot() / "model.safetensors")));
  EXPECT_FALSE(fs::exists(repository() / "blobs" / sha("model.safetensors")));
  // The small ones are kept; the reference is not there before all are.
  EXPECT_EQ(text_of(snapshot() / "config.json"), "{}");
  EXPECT_FALSE(fs::exists(repository() / "refs/main"));
  const TestServer good(hub_with(kModel));
  EXPECT_TRUE(fetch(good, files));
  EXPECT_EQ(good.seen().size(), 3);  // the weights' chunks
}

TEST_F(HuggingFaceCache, GoesOnWhereItWasStopped) {
  const std::string& weights = kModel.at("model.safetensors");
  std::stop_source stop;
  std::atomic<int> chunks = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    if (!seen.target.ends_with("safetensors")) return hub_with(kModel)(peer, seen);
    if (++chunks == 2) {
      stop.request_stop();
      return peer.close();
    }
    serve(peer, seen, weights);
  });
  const auto files = files_of(Hub::hugging_face, kModel);
  auto options = fetch_options();
  options.stop = stop.get_token();
  options.download.connections = 1;
  const auto stopped = fetch_files(files, places_, settings_for(server), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
  ASSERT_TRUE(fetch(server, files));
  EXPECT_EQ(chunks.load(), 4);  // one came, one was cut off, two are new
}

TEST_F(HuggingFaceCache, TidiesUpAfterAnOwnerThatWasKilledAtTheEnd) {
  const TestServer server(hub_with(kModel));
  const fs::path blob = repository() / "blobs" / sha("model.safetensors");
  put(blob, kModel.at("model.safetensors"));
  put(blob.string() + ".part.journal", "{}");
  ASSERT_TRUE(fetch(server, files_of(Hub::hugging_face, kModel)));
  EXPECT_FALSE(fs::exists(blob.string() + ".part.journal"));
  EXPECT_EQ(server.seen().size(), 2);  // the small files
}

TEST_F(HuggingFaceCache, MakesAndTakesNoLockThroughALink) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  const fs::path lock =
      places_.hugging_face / ".locks/models--org--na.me" / (sha("model.safetensors") + ".lock");
  link(lock, folder_ / "elsewhere");
  for (const bool removes : {false, true}) {
    fs::create_directories(repository());
    const auto done = removes ? remove_cached(files, places_).map([](Bytes) {})
                              : fetch(server, files).map([](const LocalFiles&) {});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::io);
    EXPECT_THAT(done.error().message, AllOf(HasSubstr(lock.string()), HasSubstr("move it away")));
    EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
  }
}

TEST_F(HuggingFaceCache, IsWrittenByOneOfSeveralThreads) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { good += fetch(server, files).has_value() ? 1 : 0; });
    }
  }
  EXPECT_EQ(good.load(), 4);
  EXPECT_EQ(server.seen().size(), 5);  // two small files and three chunks
}

TEST_F(HuggingFaceCache, WaitsForAnotherProcess) {
  const std::string weights = sha("model.safetensors");
  OtherProcessLock other(places_.hugging_face / ".locks/models--org--na.me" / (weights + ".lock"));
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  auto options = fetch_options();
  bool has_waited = false;
  options.on_progress = [&](const FetchProgress& progress) {
    if (progress.phase != FetchPhase::waiting) return;
    EXPECT_EQ(progress.file, "model.safetensors");
    // The other one has it, and lets go.
    put(repository() / "blobs" / weights, kModel.at("model.safetensors"));
    other.release();
    has_waited = true;
  };
  const auto fetched = fetch_files(files, places_, settings_for(server), options);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_TRUE(has_waited);
  EXPECT_EQ(server.seen().size(), 2);  // the small files
}

TEST_F(HuggingFaceCache, TellsHowFarAllFilesAre) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  auto options = fetch_options();
  std::vector<FetchProgress> seen;
  options.on_progress = [&](const FetchProgress& progress) { seen.push_back(progress); };
  ASSERT_TRUE(fetch_files(files, places_, settings_for(server), options));
  ASSERT_FALSE(seen.empty());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].total, total_size(files));
    if (i > 0) EXPECT_GE(seen[i].done, seen[i - 1].done);
  }
  EXPECT_EQ(seen.back().done, total_size(files));
}

TEST_F(HuggingFaceCache, MovesAReferenceOnlyWithNewFiles) {
  const TestServer server(hub_with(kModel));
  auto files = files_of(Hub::hugging_face, kModel);
  files.revision = "feature/x";
  ASSERT_TRUE(fetch(server, files));
  EXPECT_EQ(text_of(repository() / "refs/feature/x"), kCommit);
  // Its own tools have seen a later commit of the branch.
  put(repository() / "refs/feature/x", kOtherCommit);
  ASSERT_TRUE(fetch(server, files));
  EXPECT_EQ(text_of(repository() / "refs/feature/x"), kOtherCommit);
  fs::remove_all(snapshot());
  ASSERT_TRUE(fetch(server, files));
  EXPECT_EQ(text_of(repository() / "refs/feature/x"), kCommit);
  files.revision = kCommit;
  fs::remove_all(repository());
  ASSERT_TRUE(fetch(server, files));
  EXPECT_FALSE(fs::exists(repository() / "refs"));
}

TEST_F(HuggingFaceCache, RefusesNamesThatLeadElsewhere) {
  const TestServer server(hub_with(kModel));
  const auto good = files_of(Hub::hugging_face, kModel);
  const auto refusal = [&](auto change) {
    auto files = good;
    change(files);
    const auto fetched = fetch(server, files);
    EXPECT_FALSE(find_cached(files, places_));
    EXPECT_FALSE(remove_cached(files, places_));
    return fetched ? ErrorCode::internal : fetched.error().code;
  };
  for (const char* path : {"../x", "/etc/x", "a/../../x", "", "a//b", "a/./b"}) {
    EXPECT_EQ(refusal([&](auto& files) { files.files[0].path = path; }), ErrorCode::corrupt)
        << path;
  }
  for (const char* name : {"../x", "org", "org/..", "/org", "org/a/b", ""}) {
    EXPECT_EQ(refusal([&](auto& files) { files.repository = name; }), ErrorCode::invalid_parameter)
        << name;
  }
  for (const char* commit : {"..", "", "main"}) {
    EXPECT_EQ(refusal([&](auto& files) { files.commit = commit; }), ErrorCode::invalid_parameter)
        << commit;
  }
  EXPECT_EQ(refusal([](auto& files) { files.revision = "../x"; }), ErrorCode::invalid_parameter);
  EXPECT_EQ(refusal([](auto& files) { files.files[0].digest.hex = "../x"; }),
            ErrorCode::invalid_parameter);
  EXPECT_EQ(refusal([](auto& files) { files.files[1].path = files.files[0].path; }),
            ErrorCode::invalid_parameter);
  EXPECT_EQ(refusal([](auto& files) { files.files.clear(); }), ErrorCode::invalid_parameter);
  EXPECT_FALSE(fs::exists(places_.hugging_face));
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(HuggingFaceCache, NamesTheFolderThatCanNotBeWritten) {
  const TestServer server(hub_with(kModel));
  places_.hugging_face = "/proc/berth/hub";  // which not even root can make
  const auto fetched = fetch(server, files_of(Hub::hugging_face, kModel));
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::io);
  EXPECT_THAT(fetched.error().message,
              AllOf(HasSubstr("/proc/berth/hub"), HasSubstr("HF_HUB_CACHE")));
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(HuggingFaceCache, SeesThatAllFilesHaveRoomBeforeTheFirst) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  const Bytes size = total_size(files);
  auto options = fetch_options();
  // Each file has room, and not all together.
  options.download.space = std::make_shared<SpaceLedger>([&](const fs::path&) {
    return fs::space_info{.capacity = 99, .free = 0, .available = size.count - 1};
  });
  const auto fetched = fetch_files(files, places_, settings_for(server), options);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::unavailable);
  EXPECT_THAT(fetched.error().message, HasSubstr("the source needs"));
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(HuggingFaceCache, AsksNobodyWhenOffline) {
  const TestServer server(hub_with(kModel));
  const auto files = files_of(Hub::hugging_face, kModel);
  auto settings = settings_for(server);
  settings.offline = true;
  const auto refused = fetch_files(files, places_, settings, fetch_options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_THAT(server.seen(), IsEmpty());
  ASSERT_TRUE(fetch(server, files));
  EXPECT_TRUE(fetch_files(files, places_, settings, fetch_options()));
}

TEST_F(HuggingFaceCache, SaysWhatTheHubRefusesWithItsOwnWords) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send(testing::status_answer("403 Forbidden", "X-Error-Code: GatedRepo\r\n"));
  });
  const auto fetched = fetch_files(files_of(Hub::hugging_face, kModel), places_,
                                   settings_for(server, "hf_t0ken"), fetch_options());
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(fetched.error().message, AllOf(HasSubstr("is gated"), Not(HasSubstr("t0ken"))));
  EXPECT_EQ(server.seen()[0].field("authorization"), "Bearer hf_t0ken");
}

}  // namespace
}  // namespace berth::sources
