// berth run: from a file to an answer, with whatever is missing in between.
#include "answer.h"
#include "background_server.h"
#include "command.h"
#include "deploy_request.h"
#include "sources/hub/name.h"
#include "sources/local_model.h"
#include "terminal.h"
#include "wait.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

namespace berth::app {
namespace {

constexpr std::uint32_t kCompletionTokens = 256;
constexpr std::size_t kLongestPrompt = 16 << 20;

struct RunFlags {
  std::string model;
  std::string prompt;
  std::string name;
  bool chat = false;
  bool complete = false;
  std::optional<std::uint32_t> max_tokens;
  std::optional<double> temperature;
  std::string timeout = "30m";
};

Result<ApiClient> connect_or_start(const CommonOptions& common) {
  BERTH_TRY(const bool named, names_a_server(common));
  if (!named) {
    BERTH_TRY(const DataFolder data, find_data_folder(common.data));
    if (!find_running_server(data)) BERTH_CHECK(start_background_server(data));
  }
  return ApiClient::connect(common);
}

// A model that is there already is used as it is; anything else than asked for is an error.
Result<void> check_same(const ModelView& model, const std::optional<std::string>& source,
                        const std::vector<std::string>& engine_flags) {
  if (model.deleting) {
    return fail(ErrorCode::conflict, "{} is being removed; try again in a moment", model.name);
  }
  if (source && model.deployment.source != *source) {
    return fail(ErrorCode::conflict,
                "a model named {} is there already, made from {}; give another name with --name",
                model.name, model.deployment.source);
  }
  if (!engine_flags.empty() && engine_flags != model.deployment.parameters) {
    return fail(ErrorCode::conflict,
                "{} is there already with other engine flags ({}); remove it first (berth rm {}) "
                "or give another name with --name",
                model.name,
                model.deployment.parameters.empty()
                    ? "none"
                    : fmt::format("{}", fmt::join(model.deployment.parameters, " ")),
                model.name);
  }
  if (model.replicas == 0) {
    return fail(ErrorCode::conflict, "{} has no instances; berth scale {} 1 starts one", model.name,
                model.name);
  }
  return {};
}

// Finds the model that the user means, or deploys it from its file. Returns its name.
Result<std::string> find_or_deploy(const ApiClient& client, const RunFlags& flags,
                                   const std::vector<std::string>& engine_flags) {
  if (!is_written_as_path(flags.model) && !sources::is_hub_name(flags.model)) {
    BERTH_TRY(const auto model, find_model(client, flags.model));
    if (model) {
      BERTH_CHECK(check_same(*model, std::nullopt, engine_flags));
      return model->name;
    }
    std::error_code error;
    if (!std::filesystem::exists(flags.model, error)) {
      return fail(ErrorCode::not_found,
                  "there is neither a model named \"{}\" (see berth models) nor such a file",
                  flags.model);
    }
  }
  const bool same_machine = client.settings().same_machine;
  BERTH_TRY(auto source, absolute_source(flags.model, same_machine));
  if (!same_machine && sources::is_glob(source)) {
    BERTH_TRY(source, ask_what_matches(client, source));
  }
  const auto name = flags.name.empty() ? name_from_source(source) : flags.name;
  model::Deployment deployment{.name = name, .source = source, .parameters = engine_flags};
  BERTH_CHECK(model::validate(deployment));
  BERTH_TRY(const auto model, find_model(client, name));
  if (model) {
    BERTH_CHECK(check_same(*model, source, engine_flags));
    return name;
  }
  fmt::print(stderr, "berth: deploying {} as {}\n", source, name);
  BERTH_CHECK(create_model(client, deployment));
  return name;
}

// No file says for sure that a model was trained to answer: a chat template may stand in a base
// model as well, so that the name has to hint at it too.
bool is_instructed(const ModelView& model) {
  if (!model.profile.has_chat_template) return false;
  const auto file = std::filesystem::path(model.deployment.source).filename().string();
  std::string word;
  for (const char c : fmt::format("{} {} {} ", model.profile.name, file, model.name)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    for (const std::string_view hint : {"it", "instruct", "chat", "assistant"}) {
      if (word == hint) return true;
    }
    word.clear();
  }
  return false;
}

Result<std::string> read_prompt(const RunFlags& flags) {
  if (!flags.prompt.empty() || is_terminal(STDIN_FILENO)) return flags.prompt;
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  if (text.size() > kLongestPrompt) {
    return fail(ErrorCode::too_large, "the prompt on standard input is longer than 16 MiB");
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void set_prompt(Question& question, const std::string& prompt) {
  question.prompt = prompt;
  question.messages.push_back({{"role", "user"}, {"content", prompt}});
}

// Line after line until Ctrl-D. A chat remembers what was said; a completion does not.
Result<void> converse(const ApiClient& client, Question question) {
  fmt::print(stderr, "{} {}. Ctrl-C stops an answer, Ctrl-D ends.\n", question.model,
             question.chat ? "answers" : "continues your text");
  for (;;) {
    fmt::print(stderr, ">>> ");
    std::string line;
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    set_prompt(question, line);
    auto answer = stream_answer(client, question);
    if (!answer && answer.error().code != ErrorCode::cancelled) {
      return fail(std::move(answer).error());
    }
    if (answer)
      question.messages.push_back({{"role", "assistant"}, {"content", *answer}});
    else
      question.messages.pop_back();
  }
  fmt::print(stderr, "\n");
  return {};
}

Result<void> run(const CommonOptions& common, const RunFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, connect_or_start(common));
  BERTH_TRY(const auto name, find_or_deploy(client, flags, common.engine_flags));
  BERTH_TRY(const auto ready, wait_until_ready(client, name, timeout));
  BERTH_TRY(const auto model, read_answer<ModelView>(ready));
  print_warnings(client, model);

  Question question{.model = name};
  question.chat = !flags.complete && (flags.chat || is_instructed(model));
  question.max_tokens = flags.max_tokens;
  question.temperature = flags.temperature;
  if (!question.chat && !question.max_tokens) question.max_tokens = kCompletionTokens;
  BERTH_TRY(const auto prompt, read_prompt(flags));
  if (prompt.empty() && is_terminal(STDIN_FILENO) && !common.json) {
    return converse(client, std::move(question));
  }
  if (prompt.empty()) {
    return fail(ErrorCode::invalid_parameter,
                "{} is ready, but there is no prompt: give one as argument or on standard input",
                name);
  }
  set_prompt(question, prompt);
  if (common.json) {
    BERTH_TRY(const auto answer, fetch_answer(client, question));
    print_json(answer);
    return {};
  }
  BERTH_CHECK(stream_answer(client, question));
  return {};
}

}  // namespace

void add_run(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* subcommand =
      app.add_subcommand("run", "Ask a model, deploying it first if it is not there");
  auto flags = std::make_shared<RunFlags>();
  subcommand
      ->add_option(
          "MODEL", flags->model,
          "The model's file or folder, its name on a hub (hf:ORG/NAME), or a deployed model")
      ->required();
  subcommand->add_option("PROMPT", flags->prompt, "What to ask (standard input)");
  subcommand->add_option("--name", flags->name, "The model's name (from the file)");
  auto* chat = subcommand->add_flag("--chat", flags->chat, "Ask for an answer in a chat");
  subcommand->add_flag("--complete", flags->complete, "Ask for a continuation of the text")
      ->excludes(chat);
  subcommand->add_option("--max-tokens", flags->max_tokens,
                         "Longest answer (256 for a continuation)");
  subcommand->add_option("--temperature", flags->temperature, "0 is the same answer every time");
  subcommand->add_option("--timeout", flags->timeout,
                         "Longest wait for the model, such as 90s; 0 for none (30m)");
  subcommand->footer(
      "Starts a server in the background where none runs. Models trained to answer are asked in a\n"
      "chat, others continue the text; --chat and --complete choose.\n"
      "Example: berth run ./model.gguf \"Once upon a time\" -- --ctx-size 4096");
  subcommand->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto result = run(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
