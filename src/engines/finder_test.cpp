#include "engines/finder.h"

#include "engines/manifest.h"
#include "engines/runtime.h"
#include "engines/test_support.h"

#include <gmock/gmock.h>

namespace berth::engines {
namespace {

namespace fs = std::filesystem;
using model::PackKind;
using model::PackState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

CatalogueEntry system_entry() {
  return {.pack = {.name = "llama-server", .kind = PackKind::system, .program = {"llama-server"}},
          .probe = VersionProbe{{"--version"}, "version: ", "b"}};
}

CatalogueEntry wheel_entry(const std::string& name = "engine") {
  return {.pack = {.name = name,
                   .version = "1.0",
                   .kind = PackKind::wheel,
                   .program = {"{python}", "{pack}/launcher.py"}},
          .install = InstallRecipe{.requirements = "requirements.lock"}};
}

void install_by_hand(const fs::path& folder, const CatalogueEntry& entry) {
  testing::write(pack_python(folder), "#!/bin/sh\n", true);
  ASSERT_TRUE(
      write_manifest(folder, {.pack = entry.pack, .digest = recipe_digest(entry), .size = 7_MiB}));
}

class Finder : public ::testing::Test {
 protected:
  FoundPacks find(std::vector<CatalogueEntry> entries) {
    return find_packs({std::move(entries)}, {.data_dir = data_.path(),
                                             .search_path = "relative:/nowhere:" + bin().string(),
                                             .platform = "linux/amd64",
                                             .probe_timeout = std::chrono::milliseconds(500)});
  }
  [[nodiscard]] fs::path bin() const { return data_.path() / "bin"; }
  testing::TestFolder data_;
};

TEST_F(Finder, FindsAProgramOnPathWithItsBuild) {
  testing::write(bin() / "llama-server", "#!/bin/sh\necho 'version: 5318 (abc)' >&2\n", true);
  const auto found = find({system_entry()});
  ASSERT_THAT(found.packs, SizeIs(1));
  EXPECT_THAT(found.warnings, IsEmpty());
  EXPECT_EQ(found.packs[0].state, PackState::installed);
  EXPECT_EQ(found.packs[0].pack.build, "b5318");
  EXPECT_THAT(program_argv(found.packs[0]).value(), ElementsAre((bin() / "llama-server").string()));
}

TEST_F(Finder, LeavesOutAProgramThatIsNotOnPathOrNotExecutable) {
  testing::write(bin() / "llama-server", "not executable");
  EXPECT_THAT(find({system_entry()}).packs, IsEmpty());
}

TEST_F(Finder, WarnsOfAProgramThatFailsOrHangsOnItsVersionButKeepsIt) {
  for (const auto* script :
       {"#!/bin/sh\nexit 3\n", "#!/bin/sh\nexec sleep 60\n", "#!/bin/sh\necho hello\n"}) {
    testing::write(bin() / "llama-server", script, true);
    const auto found = find({system_entry()});
    ASSERT_THAT(found.packs, SizeIs(1)) << script;
    EXPECT_EQ(found.packs[0].state, PackState::installed);
    EXPECT_EQ(found.packs[0].pack.build, "");
    EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("its build is not known")));
  }
}

TEST_F(Finder, LeavesOutPacksOfOtherPlatforms) {
  auto entry = wheel_entry();
  entry.pack.platforms = {"linux/arm64"};
  EXPECT_THAT(find({entry}).packs, IsEmpty());
}

TEST_F(Finder, TellsInstalledFromAvailableByTheManifest) {
  const auto entry = wheel_entry();
  const auto folder = pack_folder(data_.path(), entry.pack);
  testing::write(pack_python(folder), "#!/bin/sh\n", true);
  EXPECT_EQ(find({entry}).packs.at(0).state, PackState::available);
  install_by_hand(folder, entry);
  const auto found = find({entry});
  EXPECT_EQ(found.packs.at(0).state, PackState::installed);
  EXPECT_EQ(found.packs.at(0).size, 7_MiB);
  EXPECT_THAT(program_argv(found.packs[0]).value(),
              ElementsAre(pack_python(folder).string(), (folder / "launcher.py").string()));
}

TEST_F(Finder, CallsAnInstallationWithoutInterpreterOrWithADamagedManifestFailed) {
  const auto entry = wheel_entry();
  const auto folder = pack_folder(data_.path(), entry.pack);
  install_by_hand(folder, entry);
  fs::remove(pack_python(folder));
  const auto no_python = find({entry}).packs.at(0);
  EXPECT_EQ(no_python.state, PackState::failed);
  EXPECT_THAT(no_python.reason, HasSubstr("berth engines install engine"));
  testing::write(folder / kManifestName, "{");
  const auto damaged = find({entry}).packs.at(0);
  EXPECT_EQ(damaged.state, PackState::failed);
  EXPECT_FALSE(program_argv(damaged));
}

TEST_F(Finder, WarnsOfAnInstallationFromAnotherRecipe) {
  auto entry = wheel_entry();
  install_by_hand(pack_folder(data_.path(), entry.pack), entry);
  entry.files["launcher.py"] = "new";
  const auto found = find({entry});
  EXPECT_EQ(found.packs.at(0).state, PackState::installed);
  EXPECT_TRUE(found.packs.at(0).outdated);
  EXPECT_THAT(found.warnings, SizeIs(1));
}

TEST_F(Finder, PrefersTheCompiledPackOnceItIsThere) {
  auto compiled = wheel_entry("compiled");
  compiled.pack.compiled = true;
  const auto first = [&](const CatalogueEntry& other) {
    return find({compiled, other}).packs.at(0).pack.name;
  };
  const auto plain = wheel_entry("plain");
  EXPECT_EQ(first(plain), "plain") << "it is there in seconds, the other in minutes";
  install_by_hand(pack_folder(data_.path(), compiled.pack), compiled);
  EXPECT_EQ(first(plain), "compiled");
  install_by_hand(pack_folder(data_.path(), plain.pack), plain);
  EXPECT_EQ(first(plain), "compiled");
}

TEST_F(Finder, OrdersByPreference) {
  testing::write(bin() / "llama-server", "#!/bin/sh\necho 'version: 1'\n", true);
  testing::write(bin() / "mine", "#!/bin/sh\n", true);
  const auto installed = wheel_entry("b-installed");
  install_by_hand(pack_folder(data_.path(), installed.pack), installed);
  const CatalogueEntry mine{
      .pack = {.name = "z-mine", .kind = PackKind::path, .program = {(bin() / "mine").string()}}};
  const auto found = find({wheel_entry("a-available"), installed, system_entry(), mine});
  std::vector<std::string> names;
  names.reserve(found.packs.size());
  for (const auto& status : found.packs) names.push_back(status.pack.name);
  EXPECT_THAT(names, ElementsAre("z-mine", "llama-server", "b-installed", "a-available"));
}

TEST_F(Finder, CallsAConfiguredProgramThatIsNotThereFailed) {
  const CatalogueEntry mine{
      .pack = {.name = "mine", .kind = PackKind::path, .program = {"/nowhere/mine"}},
      .source = "engines.d/mine.toml"};
  const auto status = find({mine}).packs.at(0);
  EXPECT_EQ(status.state, PackState::failed);
  EXPECT_THAT(status.reason, HasSubstr("engines.d/mine.toml"));
}

TEST(ProgramArgv, RefusesOtherPlaceholders) {
  const auto argv = program_argv({.pack = {.program = {"{python}", "{home}/x"}},
                                  .state = PackState::installed,
                                  .folder = "/p"});
  ASSERT_FALSE(argv);
  EXPECT_THAT(argv.error().message, HasSubstr("{home}"));
}

}  // namespace
}  // namespace berth::engines
