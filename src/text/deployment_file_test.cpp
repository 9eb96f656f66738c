#include "text/deployment_file.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth::text {
namespace {

using model::Deployment;

TEST(DeploymentFile, HoldsSeveralDocuments) {
  const auto found = read_deployments(
      "---\nname: a\nsource: ./a.gguf\n---\n# nothing\n---\nname: b\nsource: /b\nreplicas: 2\n",
      "f.yaml");
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 2);
  EXPECT_EQ((*found)[0].source, "./a.gguf");
  EXPECT_EQ((*found)[1].replicas, 2);
}

TEST(DeploymentFile, MayBeJson) {
  EXPECT_EQ(read_deployments(R"({"name": "a\/b", "source": "/a"})", "-")->front().name, "a/b");
  EXPECT_EQ(
      read_deployments(R"([{"name": "a", "source": "/a"}, {"name": "b", "source": "/b"}])", "-")
          ->size(),
      2);
}

TEST(DeploymentFile, ErrorsNameFileLineAndField) {
  const std::pair<const char*, const char*> cases[] = {
      {"name: a\nsource: /a\nreplica: 2\n", "f.yaml, line 3: there is no field replica"},
      {"name: a\nsource: /a\nenv:\n  A: b\n  B: 1\n", "f.yaml, line 5: env.B must be a text"},
      {"name: a\nsource: /a\n---\nname: a\nsource: /b\n", "f.yaml, line 4: there is a deployment"},
      {"name: a\n", "f.yaml, line 1: source is missing"},
      {"name: a\nsource: /a\nparameters:\n  - --x\n  - 4\n", "line 5: parameters[1]"},
      {"name: a b\nsource: /a\n", "line 1: name \"a b\""},
      {"[{name: a, source: /a},\n {name: b, source: /b, x: 1}]", "line 2: there is no field x"},
      {"name: a\nname: b\n", "f.yaml: line 2, column 1: the key \"name\" is there twice"},
      {"just a text", "must be an object"},
      {"# nothing\n", "holds no deployment"},
      {"", "holds no deployment"},
      {R"({"name": "a", "source": "/a", "name": "b"})", "twice"},
  };
  for (const auto& [text, words] : cases) {
    const auto found = read_deployments(text, "f.yaml");
    ASSERT_FALSE(found) << text;
    EXPECT_EQ(found.error().code, ErrorCode::invalid_parameter) << text;
    EXPECT_NE(found.error().to_string().find(words), std::string::npos)
        << found.error().to_string();
  }
}

TEST(DeploymentFile, LeavesOutWhatHasItsDefault) {
  const Deployment plain{.name = "a", .source = "/a"};
  EXPECT_EQ(to_yaml(plain), "name: a\nsource: /a\n");
  Deployment given = plain;
  given.restart.policy = model::RestartPolicy::never;
  given.claim = model::GivenClaim{};
  EXPECT_EQ(to_yaml(given), "name: a\nsource: /a\nclaim: {}\nrestart:\n  policy: never\n");
}

rc::Gen<std::string> text_gen() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(
                          rc::gen::elementOf(std::vector<std::string>{"a",
                                                                      "Z",
                                                                      "0",
                                                                      " ",
                                                                      "\n",
                                                                      "\t",
                                                                      "\r",
                                                                      ":",
                                                                      "#",
                                                                      "-",
                                                                      "'",
                                                                      "\"",
                                                                      "\\",
                                                                      "{",
                                                                      "[",
                                                                      ",",
                                                                      "&",
                                                                      "*",
                                                                      "!",
                                                                      "|",
                                                                      ">",
                                                                      "%",
                                                                      "1e3",
                                                                      "0x10",
                                                                      "null",
                                                                      "yes",
                                                                      "\x01",
                                                                      "\xC2\x85",
                                                                      "\xC3\xA9",
                                                                      "\xE2\x80\xA8",
                                                                      "\xF0\x9F\x9A\xA2"})),
                      [](const std::vector<std::string>& parts) {
                        std::string text;
                        for (const auto& part : parts) text += part;
                        return text;
                      });
}

template <class E>
rc::Gen<E> enum_gen() {
  std::vector<E> all;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>(
      [&](auto d) { all.push_back(d.value); });
  return rc::gen::elementOf(all);
}

template <class T>
std::optional<T> maybe(rc::Gen<T> gen) {
  if (*rc::gen::arbitrary<bool>()) return std::nullopt;
  return *gen;
}

Deployment any_deployment() {
  const auto pairs = rc::gen::container<std::map<std::string, std::string>>(
      rc::gen::map(rc::gen::inRange(0, 1000), [](int n) { return "Y" + std::to_string(n); }),
      text_gen());
  const auto bytes = rc::gen::map(rc::gen::inRange<std::uint64_t>(0, std::uint64_t{1} << 60U),
                                  [](std::uint64_t n) { return Bytes{n}; });
  Deployment made{
      .name = *rc::gen::elementOf(std::vector<std::string>{"a", "yes", "007", "1e3", "org/m-1.5"}),
      .source =
          "/" + *rc::gen::element<std::string>("m.gguf", "a b: c", "null", "\xC3\xA9#x", "~")};
  made.backend = maybe(rc::gen::element<std::string>("llama-box", "", "null"));
  made.backend_version = maybe(rc::gen::element<std::string>("1", "1.10", "latest"));
  made.categories = *rc::gen::container<std::vector<model::Category>>(enum_gen<model::Category>());
  made.replicas = *rc::gen::inRange<std::uint32_t>(0, 1001);
  made.parameters = *rc::gen::container<std::vector<std::string>>(text_gen());
  made.env = *pairs;
  made.worker_selector =
      *rc::gen::container<std::map<std::string, std::string>>(text_gen(), text_gen());
  made.devices = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("box1:cuda:0", "1:2", "a:b c"));
  made.cpu_offload = maybe(enum_gen<model::CpuOffload>());
  made.distributed = maybe(enum_gen<model::Distributed>());
  made.placement = *enum_gen<model::PlacementPolicy>();
  made.update = *enum_gen<model::UpdatePolicy>();
  if (*rc::gen::arbitrary<bool>()) made.claim = {.vram = maybe(bytes), .ram = maybe(bytes)};
  made.restart = {.policy = *enum_gen<model::RestartPolicy>(),
                  .max_failures = *rc::gen::inRange<std::uint32_t>(0, 1001)};
  made.readiness_timeout = maybe(rc::gen::inRange<std::uint32_t>(1, 86401));
  made.progress_deadline = maybe(rc::gen::inRange<std::uint32_t>(1, 604801));
  made.memory_limit = *enum_gen<model::MemoryLimit>();
  return made;
}

RC_GTEST_PROP(DeploymentFile, ComesBackAsItWas, ()) {
  const Deployment made = any_deployment();
  const std::string yaml = to_yaml(made);
  const auto found = read_deployments(yaml, "f.yaml");
  if (!found) RC_FAIL(yaml + found.error().to_string());
  RC_ASSERT(found->size() == 1U);
  if (to_json(found->front(), Secrets::show) != to_json(made, Secrets::show)) RC_FAIL(yaml);
}

}  // namespace
}  // namespace berth::text
