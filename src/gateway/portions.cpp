#include "gateway/portions.h"

#include <algorithm>
#include <utility>

namespace berth::gateway {
namespace {

// What a portion may cost beyond an input for each slot: some thousand tokens.
constexpr std::size_t kPortion = 4096;
constexpr std::size_t kLeastCost = 64;  // of an input, however short

tl::unexpected<Error> wrong(std::string_view field, std::string_view expected) {
  return fail(make_error(ErrorCode::invalid_parameter, "{} must be {}", field, expected)
                  .with_field(std::string(field)));
}

// What stands in `field`, taken out; null where there is nothing.
json::value take_value(json::object& body, std::string_view field) {
  auto* found = body.if_contains(field);
  if (found == nullptr) return nullptr;
  json::value value = std::move(*found);
  body.erase(field);
  return value;
}

// One request on its way. Lives as long as its handler.
class Relay {
 public:
  Relay(GatewayContext& context, net::Exchange& exchange, Task task, std::string path,
        std::string route)
      : context_(context),
        exchange_(exchange),
        task_(task),
        path_(std::move(path)),
        outcome_{.route = std::move(route), .started = context.clock.steady_now()} {}

  net::Task<> run(ReadPortions read) {
    auto done = co_await serve(read);
    co_await conclude(context_, exchange_, std::move(outcome_), std::move(done));
  }

 private:
  net::Task<Result<void>> serve(ReadPortions read) {
    BERTH_CO_CHECK(context_.access.authenticate(exchange_.request()));
    auto text = co_await exchange_.read_body();
    if (!text) co_return fail(std::move(text).error());
    BERTH_CO_TRY(json::value body, parse_json(*text));
    if (!body.is_object()) co_return fail(ErrorCode::invalid_request, "the body is no JSON object");
    BERTH_CO_TRY(const auto portions, read(std::move(body.get_object())));
    const auto routes = context_.table.routes();
    const std::string& model = portions->model();
    BERTH_CO_CHECK(check_task(*routes, model, task_));
    BERTH_CO_TRY(auto chosen, choose_target(*routes, model));
    std::optional<Reservation> target(std::move(chosen));
    outcome_.model = model;
    BERTH_CO_CHECK(portions->accept(routes->find(model)->second, **target));
    while (const auto portion = portions->next()) {
      if (exchange_.gone()) {
        co_return fail(ErrorCode::cancelled, "the client closed the connection");
      }
      auto answered = co_await answer_from(**target, *portion, *portions);
      if (!answered && is_unreached(answered.error()) && !exchange_.gone()) {
        // The engine died a moment ago; nothing of this portion was answered.
        const std::string failed = (*target)->instance;
        BERTH_CO_TRY(auto other, choose_target(*routes, model, failed));
        target.emplace(std::move(other));
        answered = co_await answer_from(**target, *portion, *portions);
      }
      if (!answered) co_return fail(std::move(answered).error());
      if (exchange_.responded()) co_return Result<void>{};  // with the engine's error
    }
    outcome_.complete = true;
    net::Response response{.status = 200};
    response.headers.set("content-type", "application/json");
    response.body = portions->finish(outcome_.usage);
    co_return co_await exchange_.respond(std::move(response));
  }

  // Asks for one portion. An error of the engine is passed on to the client.
  net::Task<Result<void>> answer_from(const Target& target, const std::string& portion,
                                      Portions& portions) {
    net::ClientRequest request;
    request.body_view = portion;
    auto answer = co_await ask_engine(context_, exchange_, target, path_, std::move(request));
    if (!answer) co_return fail(std::move(answer).error());
    exchange_.on_client_gone([&answer] { answer->abort(); });
    auto text = co_await answer->read_all(kLargestAnswer, kEnginePatience);
    exchange_.on_client_gone({});
    if (!text) co_return fail(std::move(text).error().context("the engine broke off"));
    if (answer->status() >= 400) {
      const auto failure = read_failure(answer->status(), *text, target.api);
      outcome_.status = failure.status;
      co_return co_await exchange_.respond(net::error_response(failure.status, failure.error));
    }
    BERTH_CO_TRY(const json::value parsed, parse_json(*text));
    if (!parsed.is_object()) co_return fail(ErrorCode::corrupt, "the engine's answer is no object");
    BERTH_CO_CHECK(portions.take(parsed.get_object()));
    outcome_.usage += read_usage(*text).value_or(Usage{});
    if (outcome_.first_byte == Duration::zero()) {
      outcome_.first_byte =
          std::chrono::duration_cast<Duration>(context_.clock.steady_now() - outcome_.started);
    }
    co_return Result<void>{};
  }

  GatewayContext& context_;
  net::Exchange& exchange_;
  Task task_;
  std::string path_;
  Outcome outcome_;
};

}  // namespace

std::size_t portion_of(const std::vector<std::size_t>& sizes, std::size_t begin,
                       std::uint32_t slots) {
  std::size_t count = 0;
  std::size_t cost = 0;
  while (begin + count < sizes.size()) {
    cost += std::max(sizes[begin + count], kLeastCost);
    if (count >= std::max(slots, 1U) && cost > kPortion) break;
    ++count;
  }
  return count;
}

Result<std::string> take_text(json::object& body, std::string_view field) {
  const json::value value = take_value(body, field);
  if (!value.is_string()) return wrong(field, "a text");
  return std::string(value.get_string());
}

Result<std::optional<std::uint64_t>> take_count(json::object& body, std::string_view field) {
  const json::value value = take_value(body, field);
  if (value.is_null()) return std::nullopt;
  if (!value.is_int64() || value.get_int64() < 1) return wrong(field, "a whole number from 1");
  return static_cast<std::uint64_t>(value.get_int64());
}

Result<bool> take_switch(json::object& body, std::string_view field, bool otherwise) {
  const json::value value = take_value(body, field);
  if (value.is_null()) return otherwise;
  if (!value.is_bool()) return wrong(field, "true or false");
  return value.get_bool();
}

net::Task<> relay_portions(GatewayContext& context, net::Exchange& exchange, ReadPortions read,
                           Task task, std::string path, std::string route) {
  Relay relay(context, exchange, task, std::move(path), std::move(route));
  co_await relay.run(read);
}

}  // namespace berth::gateway
