#include "server/deploy.h"

#include "formats/gguf_builder.h"
#include "formats/profile.h"

#include <filesystem>
#include <utility>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

namespace fs = std::filesystem;

// Deployments whose globs match what the test says.
class DeployByGlob : public ::testing::Test {
 protected:
  DeployByGlob() {
    std::string name = (fs::temp_directory_path() / "berth-deploy-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    formats::small_model("llama", 2).write(folder_ / "a.gguf");
    profile_ = formats::profile_path(folder_ / "a.gguf").value();
    eyes_.find = [this](const fs::path&) -> Result<FoundModel> {
      ++reads_;
      return FoundModel{.profile = profile_, .path = matched_, .worker = std::nullopt};
    };
    eyes_.judge = [](const FoundModel&, const cluster::JudgeRequest& request) {
      EXPECT_EQ(request.deployment.source, "/m/a[1].gguf");
      return model::ComputeTable{};
    };
    before_ = accept_deployment(wanted_, backends::builtin_backends(), real_clock(), eyes_).value();
  }
  ~DeployByGlob() override { fs::remove_all(folder_); }

  Result<model::Model> edit(const model::Model& before, model::Deployment wanted) {
    return accept_edit(before, wanted, backends::builtin_backends(), real_clock(), eyes_);
  }

  fs::path folder_;
  model::ModelProfile profile_;
  std::string matched_ = "/m/a[1].gguf";
  int reads_ = 0;
  ModelEyes eyes_;
  const model::Deployment wanted_{.name = "m", .source = "/m/a*.gguf"};
  model::Model before_;
};

TEST_F(DeployByGlob, StoresThePathThatItMatched) {
  EXPECT_EQ(before_.deployment.source, "/m/a[1].gguf");
}

TEST_F(DeployByGlob, TheSameMatchIsNoChange) {
  const auto after = edit(before_, wanted_);
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(to_json(*after, Secrets::show), to_json(before_, Secrets::show));
}

TEST_F(DeployByGlob, AnotherMatchReplacesInstances) {
  matched_ = "/m/a2.gguf";
  eyes_.judge = [](const FoundModel&, const cluster::JudgeRequest&) {
    return model::ComputeTable{};
  };
  const auto after = edit(before_, wanted_);
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(after->deployment.source, "/m/a2.gguf");
  EXPECT_EQ(after->generation, before_.generation + 1);
}

TEST_F(DeployByGlob, AnEditOfWhatIsStoredDoesNotMatchAgain) {
  model::Deployment changed = before_.deployment;
  changed.replicas = 3;
  const int reads = std::exchange(reads_, 0);
  EXPECT_EQ(reads, 1);
  const auto after = edit(before_, changed);
  ASSERT_TRUE(after) << after.error().to_string();
  EXPECT_EQ(after->generation, before_.generation);
  EXPECT_EQ(reads_, 0);
}

}  // namespace
}  // namespace berth::server
