#include "engines/catalogue.h"

#include "engines/descriptor.h"
#include "engines/test_support.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace berth::engines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kMine = R"(
name = "mine"
engine = "llama.cpp"
backend = "llama-box"
kind = "path"
program = ["/opt/mine/llama-server", "--quiet"]
platforms = [{ os = "linux", arch = "x86_64" }, { os = "linux", arch = "aarch64" }]
licences = [{ piece = "llama.cpp", licence = "MIT" }]
environment = { A = "1" }
capabilities = { text = true, rpc = false }
[launcher]
flags = [
  { names = ["--ctx-size", "-c"], type = "int", min = 0 },
  { names = ["--metrics"], type = "switch" },
]
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Descriptor, BecomesAPack) {
  const auto entry = parse_descriptor(kMine, "mine.toml");
  ASSERT_TRUE(entry) << entry.error().to_string();
  const auto& pack = entry->pack;
  EXPECT_EQ(pack.kind, model::PackKind::path);
  EXPECT_THAT(pack.platforms, ElementsAre("linux/amd64", "linux/arm64"));
  EXPECT_THAT(pack.capabilities, ElementsAre("text"));
  EXPECT_THAT(pack.licences, ElementsAre("llama.cpp: MIT"));
  ASSERT_EQ(pack.flags.size(), 2U);
  EXPECT_EQ(pack.flags[0].flag, "--ctx-size");
  EXPECT_THAT(pack.flags[0].aliases, ElementsAre("-c"));
  EXPECT_EQ(pack.flags[0].minimum, 0.0);
  EXPECT_TRUE(pack.flags[0].takes_value);
  EXPECT_FALSE(pack.flags[1].takes_value);
  EXPECT_FALSE(entry->install);
}

struct BadCase {
  std::string from, to, field, message;
};

TEST(Descriptor, NamesFileAndKeyOfWhatIsWrong) {
  const std::vector<BadCase> cases = {
      {"environment", "enviroment", "enviroment", "enviroment"},
      {"piece = ", "peice = ", "licences[0].peice", "peice"},
      {"type = \"int\"", "type = 4", "launcher.flags[0].type", "text"},
      {"name = \"mine\"", "name = \"../mine\"", "name", "letters"},
      {"kind = \"path\"", "kind = \"wheels\"", "kind", "wheel"},
      {"kind = \"path\"", "", "kind", "missing"},
      {"kind = \"path\"", "kind = \"system\"", "program", "PATH"},
      {"\"/opt/mine/llama-server\"", "\"llama-server\"", "program", "absolute"},
      {"engine = \"llama.cpp\"", "", "engine", "missing"},
      {"kind = \"path\"", "kind = \"path\"\npython = \">=3.9\"", "python", "wheel"},
      {"kind = \"path\"", "kind = \"wheel\"\nversion = \"1\"", "requirements", "lock"},
      {"kind = \"path\"",
       "kind = \"wheel\"\nversion = \"1\"\nrequirements = \"a\"\nfiles = [\"../b\"]", "files",
       "below"},
  };
  for (const auto& bad : cases) {
    const auto entry = parse_descriptor(replaced(kMine, bad.from, bad.to), "mine.toml");
    ASSERT_FALSE(entry) << bad.to;
    EXPECT_EQ(entry.error().field, bad.field) << entry.error().message;
    EXPECT_THAT(entry.error().message, HasSubstr("mine.toml: "));
    EXPECT_THAT(entry.error().message, HasSubstr(bad.message));
  }
}

TEST(Descriptor, NamesTheLineThatIsNoToml) {
  const auto entry = parse_descriptor("name = \"a\"\nengine = \n", "mine.toml");
  ASSERT_FALSE(entry);
  EXPECT_THAT(entry.error().message, HasSubstr("mine.toml: line 2"));
}

TEST(Descriptor, ComparesPythonVersionsByNumber) {
  EXPECT_TRUE(python_fits("", "3.11"));
  EXPECT_TRUE(python_fits(">=3.9", "3.11"));
  EXPECT_TRUE(python_fits(">=3.10, <3.12", "3.11"));
  EXPECT_FALSE(python_fits(">=3.10,<3.11", "3.11"));
  EXPECT_FALSE(python_fits(">=3.10", "3.9"));
  EXPECT_FALSE(python_fits("3.10", "3.10"));
  EXPECT_FALSE(python_fits(">=3.10", "rubbish"));
}

TEST(Catalogue, HasTheShippedPacksWithTheirFiles) {
  const testing::TestFolder data;
  const auto catalogue = load_catalogue(data.path());
  ASSERT_TRUE(catalogue) << catalogue.error().to_string();
  const auto* pack = catalogue->find("xllamacpp");
  ASSERT_NE(pack, nullptr);
  ASSERT_TRUE(pack->install);
  EXPECT_THAT(pack->files.at("requirements.lock"), HasSubstr("--hash=sha256:"));
  EXPECT_TRUE(pack->files.contains("launcher.py"));
  EXPECT_THAT(pack->pack.platforms, Contains("linux/amd64"));
  EXPECT_NE(catalogue->find("llama-server"), nullptr);
  EXPECT_EQ(catalogue->find("nothing"), nullptr);
}

TEST(Catalogue, AddsThePacksOfTheUser) {
  const testing::TestFolder data;
  testing::write(data.path() / "engines.d" / "mine.toml", kMine);
  testing::write(data.path() / "engines.d" / "notes.txt", "not a descriptor");
  const auto catalogue = load_catalogue(data.path());
  ASSERT_TRUE(catalogue) << catalogue.error().to_string();
  EXPECT_NE(catalogue->find("mine"), nullptr);
}

TEST(Catalogue, RefusesANameThatIsTaken) {
  const testing::TestFolder data;
  testing::write(data.path() / "engines.d" / "a.toml",
                 replaced(kMine, "name = \"mine\"", "name = \"xllamacpp\""));
  const auto catalogue = load_catalogue(data.path());
  ASSERT_FALSE(catalogue);
  EXPECT_EQ(catalogue.error().code, ErrorCode::already_exists);
  EXPECT_THAT(catalogue.error().message, HasSubstr("a.toml"));
}

TEST(Catalogue, RefusesAWheelOfTheUserSinceItsLockFileIsNotKnown) {
  const testing::TestFolder data;
  testing::write(
      data.path() / "engines.d" / "a.toml",
      replaced(kMine, "kind = \"path\"", "kind = \"wheel\"\nversion=\"1\"\nrequirements=\"r\""));
  const auto catalogue = load_catalogue(data.path());
  ASSERT_FALSE(catalogue);
  EXPECT_EQ(catalogue.error().field, "kind");
}

TEST(RecipeDigest, ChangesWithAFileOfThePack) {
  auto entry = *parse_descriptor(kMine, "a");
  const auto before = recipe_digest(entry);
  EXPECT_EQ(recipe_digest(entry), before);
  entry.files["launcher.py"] = "print()";
  EXPECT_NE(recipe_digest(entry), before);
}

}  // namespace
}  // namespace berth::engines
