#include "gateway/completions.h"

#include "gateway/answer_assembler.h"
#include "gateway/event_filter.h"
#include "gateway/model_task.h"
#include "gateway/request_body.h"

#include <optional>
#include <utility>

namespace berth::gateway {
namespace {

// One request on its way. Lives as long as its handler.
class Relay {
 public:
  Relay(GatewayContext& context, net::Exchange& exchange, std::string path, std::string route)
      : context_(context),
        exchange_(exchange),
        path_(std::move(path)),
        outcome_{.route = std::move(route), .started = context.clock.steady_now()} {}

  net::Task<> run() {
    auto done = co_await serve();
    co_await conclude(context_, exchange_, std::move(outcome_), std::move(done));
  }

 private:
  net::Task<Result<void>> serve() {
    BERTH_CO_CHECK(context_.access.authenticate(exchange_.request()));
    auto text = co_await exchange_.read_body();
    if (!text) co_return fail(std::move(text).error());
    BERTH_CO_TRY(RoutedBody body, read_body(std::move(*text)));
    const auto routes = context_.table.routes();
    BERTH_CO_CHECK(check_task(*routes, body.model, Task::text));
    BERTH_CO_TRY(Reservation target, choose_target(*routes, body.model));
    outcome_.model = body.model;
    auto answer = co_await ask(*target, body);
    if (!answer && is_unreached(answer.error())) {
      // The engine died a moment ago: no byte of an answer was seen, another one may serve.
      const std::string failed = target->instance;
      BERTH_CO_TRY(Reservation other, choose_target(*routes, body.model, failed));
      auto second = co_await ask(*other, body);
      if (!second) co_return fail(std::move(second).error());
      co_return co_await pass_on(std::move(*second), body, other->api);
    }
    if (!answer) co_return fail(std::move(answer).error());
    co_return co_await pass_on(std::move(*answer), body, target->api);
  }

  net::Task<Result<net::ClientResponse>> ask(const Target& target, const RoutedBody& body) {
    net::ClientRequest request;
    if (auto text = upstream_text(body, target.api)) {
      request.body = *std::move(text);
    } else {
      request.body_view = body.text;
    }
    co_return co_await ask_engine(context_, exchange_, target, path_, std::move(request));
  }

  net::Task<Result<void>> pass_on(net::ClientResponse answer, const RoutedBody& body,
                                  backends::EngineApi api) {
    outcome_.status = answer.status();
    exchange_.on_client_gone([&answer] { answer.abort(); });
    Result<void> result;
    if (answer.status() >= 400) {
      result = co_await pass_error(answer, api);
    } else if (body.stream) {
      result = co_await pass_stream(answer, body);
    } else if (api.learns_by_writing) {
      result = co_await pass_assembled(answer, body.choices);
    } else {
      result = co_await pass_whole(answer);
    }
    exchange_.on_client_gone({});
    co_return result;
  }

  // An engine's error in OpenAI's shape, whatever shape it came in.
  net::Task<Result<void>> pass_error(net::ClientResponse& answer, backends::EngineApi api) {
    auto body = co_await answer.read_all(1_MiB, kEnginePatience);
    if (!body) co_return fail(std::move(body).error());
    const auto failure = read_failure(answer.status(), *body, api);
    outcome_.status = failure.status;
    co_return co_await exchange_.respond(net::error_response(failure.status, failure.error));
  }

  net::Task<Result<void>> pass_whole(net::ClientResponse& answer) {
    auto body = co_await answer.read_all(kLargestAnswer, kEnginePatience);
    if (!body) co_return fail(std::move(body).error().context("the engine broke off"));
    outcome_.complete = true;
    outcome_.first_byte = since_start();
    outcome_.usage = read_usage(*body).value_or(Usage{});
    net::Response response{.status = answer.status()};
    response.headers.set("content-type",
                         answer.headers().get("content-type").value_or("application/json"));
    response.body = std::move(*body);
    co_return co_await exchange_.respond(std::move(response));
  }

  // The answer that the client asked for in one piece, from the stream that the engine was asked
  // for.
  net::Task<Result<void>> pass_assembled(net::ClientResponse& answer, std::uint64_t choices) {
    AnswerAssembler assembler;
    for (;;) {
      const auto piece = co_await answer.read_some(kEnginePatience);
      if (!piece) co_return fail(Error(piece.error()).context("the engine broke off"));
      if (!*piece) break;
      auto fed = assembler.feed(**piece);
      outcome_.usage = assembler.usage();
      if (!fed) {
        answer.abort();
        co_return fail(std::move(fed).error());
      }
    }
    if (!assembler.complete()) {
      co_return fail(ErrorCode::unavailable, "the engine broke off its answer");
    }
    outcome_.complete = true;
    outcome_.first_byte = since_start();
    const json::object whole = assembler.finish(choices);
    outcome_.usage = assembler.usage();
    co_return co_await exchange_.respond(net::json_response(200, whole));
  }

  net::Task<Result<void>> pass_stream(net::ClientResponse& answer, const RoutedBody& body) {
    EventFilter filter(body.wishes);
    Result<void> sent;
    bool begun = false;
    while (sent) {
      const auto piece = co_await answer.read_some(kEnginePatience);
      if (!piece) co_return co_await break_off(piece.error());
      if (!*piece) {
        outcome_.complete = true;
        break;
      }
      const auto passed = filter.feed(**piece);
      outcome_.usage = filter.usage();
      if (!passed) co_return co_await break_off(passed.error());
      if (passed->empty()) continue;
      if (!begun) {
        // Nothing was sent yet: an error that comes first gets a status of its own.
        BERTH_CO_CHECK(check_event(*passed));
        outcome_.first_byte = since_start();
        begun = true;
        sent = co_await begin_stream(answer);
        if (!sent) break;
      }
      sent = co_await exchange_.write(*passed);
    }
    outcome_.usage.prompt_tokens /= body.choices;
    if (!sent) co_return sent;
    if (!exchange_.responded()) BERTH_CO_CHECK(co_await begin_stream(answer));
    if (!filter.rest().empty()) {
      const std::string rest(filter.rest());
      BERTH_CO_CHECK(co_await exchange_.write(rest));
    }
    co_return co_await exchange_.finish();
  }

  net::Task<Result<void>> begin_stream(const net::ClientResponse& answer) {
    net::Headers headers{{"cache-control", "no-store"}, {"x-accel-buffering", "no"}};
    headers.set("content-type", answer.headers().get("content-type").value_or("text/event-stream"));
    co_return co_await exchange_.start(answer.status(), std::move(headers));
  }

  // Tells an error at once where nothing was sent; else inside the stream, as one more event.
  net::Task<Result<void>> break_off(Error error) {
    outcome_.status = http_status(error.code);
    auto told = std::move(error).context("the engine broke off");
    if (exchange_.gone() || !exchange_.responded()) co_return fail(std::move(told));
    const std::string event = "data: " + to_text(net::error_json(told)) + "\n\n";
    BERTH_CO_CHECK(co_await exchange_.write(event));
    co_return co_await exchange_.finish();
  }

  [[nodiscard]] Duration since_start() const {
    return std::chrono::duration_cast<Duration>(context_.clock.steady_now() - outcome_.started);
  }

  GatewayContext& context_;
  net::Exchange& exchange_;
  std::string path_;
  Outcome outcome_;
};

}  // namespace

net::Task<> relay_completion(GatewayContext& context, net::Exchange& exchange, std::string path,
                             std::string route) {
  Relay relay(context, exchange, std::move(path), std::move(route));
  co_await relay.run();
}

}  // namespace berth::gateway
