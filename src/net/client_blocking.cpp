#include "net/client.h"

#include <boost/asio/post.hpp>

namespace berth::net {
namespace {

struct Fetch {
  Endpoint endpoint;
  ClientRequest request;
  ClientDeadlines deadlines;
};

Task<Result<Response>> fetch(IoContext& context, Fetch what, Bytes body_limit,
                             std::stop_token stop) {
  const auto abort = std::make_shared<Abort>();
  what.request.abort = abort;
  const std::stop_callback give_up(
      stop, [&] { boost::asio::post(context, [abort] { abort->abort(); }); });
  Client client(context);
  auto response = co_await client.fetch(std::move(what.endpoint), std::move(what.request),
                                        what.deadlines, body_limit);
  co_return response;
}

Task<Result<void>> stream(IoContext& context, Fetch what, Duration idle,
                          std::function<bool(int, const Headers&)> on_head,
                          std::function<bool(std::string_view)> on_data) {
  Client client(context);
  auto sent =
      co_await client.send(std::move(what.endpoint), std::move(what.request), what.deadlines);
  BERTH_CO_TRY(ClientResponse answer, std::move(sent));
  if (!on_head(answer.status(), answer.headers())) co_return Result<void>{};
  for (;;) {
    auto piece = co_await answer.read_some(idle);
    BERTH_CO_TRY(const auto bytes, std::move(piece));
    if (!bytes || !on_data(*bytes)) co_return Result<void>{};
  }
}

}  // namespace

Result<Response> fetch_blocking(Endpoint endpoint, ClientRequest request, ClientDeadlines deadlines,
                                Bytes body_limit, const std::stop_token& stop) {
  return run_blocking([&](IoContext& context) {
    return fetch(context, Fetch{std::move(endpoint), std::move(request), deadlines}, body_limit,
                 stop);
  });
}

Result<void> stream_blocking(Endpoint endpoint, ClientRequest request, ClientDeadlines deadlines,
                             Duration idle, std::function<bool(int, const Headers&)> on_head,
                             std::function<bool(std::string_view)> on_data) {
  return run_blocking([&](IoContext& context) {
    return stream(context, Fetch{std::move(endpoint), std::move(request), deadlines}, idle,
                  std::move(on_head), std::move(on_data));
  });
}

}  // namespace berth::net
