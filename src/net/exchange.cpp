#include "net/exchange.h"

#include "net/server_connection.h"

namespace berth::net {

const Request& Exchange::request() const { return connection_.request(); }

std::string_view Exchange::param(std::string_view name) const {
  for (const auto& [key, value] : params_) {
    if (key == name) return value;
  }
  return {};
}

Executor Exchange::executor() const { return connection_.executor(); }
bool Exchange::responded() const { return connection_.responded(); }
bool Exchange::gone() const { return connection_.gone(); }

Task<Result<std::string>> Exchange::read_body(Bytes limit) { return connection_.read_body(limit); }
Task<Result<std::string>> Exchange::read_body() {
  return connection_.read_body(connection_.body_limit());
}
Task<Result<BodyPiece>> Exchange::read_some() { return connection_.read_some(); }

Task<Result<void>> Exchange::respond(Response response) {
  return connection_.respond(std::move(response));
}
Task<Result<void>> Exchange::start(int status, Headers headers) {
  return connection_.start(status, std::move(headers));
}
Task<Result<void>> Exchange::write(std::string_view data) { return connection_.write(data); }
Task<Result<void>> Exchange::finish() { return connection_.finish(); }

Task<Result<std::shared_ptr<Transport>>> Exchange::upgrade(std::string protocol) {
  return connection_.upgrade(std::move(protocol));
}

Task<> Exchange::client_gone() { return connection_.client_gone(); }
void Exchange::on_client_gone(std::function<void()> callback) {
  connection_.on_client_gone(std::move(callback));
}

}  // namespace berth::net
