// ApiClient: the management API and the gateway, as commands use them. Blocking.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "client_settings.h"
#include "net/client.h"

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

namespace berth::app {

// Errors of all calls: those of the server, with its message; unavailable where none answers.
class ApiClient {
 public:
  explicit ApiClient(ClientSettings settings) : settings_(std::move(settings)) {}
  // To the server that the options, the environment and the files name.
  static Result<ApiClient> connect(const CommonOptions& common);

  [[nodiscard]] const ClientSettings& settings() const { return settings_; }

  // Each waits for the answer at most as long as `patience`.
  Result<json::value> get(std::string target) const;
  Result<json::value> post(std::string target, const json::value& body,
                           Duration patience = std::chrono::seconds(60)) const;
  Result<json::value> patch(std::string target, const json::value& body) const;
  Result<json::value> put(std::string target, const json::value& body, net::Headers headers,
                          Duration patience = std::chrono::seconds(60)) const;
  Result<json::value> del(std::string target) const;

  // A streamed answer: `on_data` sees each piece as it comes; false from it ends the request early.
  // Ends with cancelled soon after `interrupted` became true. A POST where `body` is not empty.
  Result<void> stream(std::string target, std::string body,
                      std::function<bool(std::string_view)> on_data,
                      const std::atomic<bool>* interrupted = nullptr) const;

 private:
  Result<json::value> call(std::string method, std::string target, std::string body,
                           Duration patience, const net::Headers& headers = {}) const;
  [[nodiscard]] net::ClientRequest make_request(std::string method, std::string target,
                                                std::string body) const;
  [[nodiscard]] Error explain(Error error) const;

  ClientSettings settings_;
};

// "/api/v1/models/org%2Fname".
std::string model_target(std::string_view name);

// The array "items" of an answer. Fails with corrupt where there is none.
Result<json::array> items_of(const json::value& answer);

// Reads a described value out of an answer; members that this version does not know are passed
// over. Fails with corrupt.
template <class T>
Result<T> read_answer(const json::value& answer) {
  auto value = from_json<T>(answer, UnknownMembers::ignore);
  if (value) return value;
  Error error = std::move(value).error();
  error.code = ErrorCode::corrupt;
  return fail(std::move(error).context("the server's answer can not be read"));
}

template <class T>
Result<std::vector<T>> read_items(const json::value& answer) {
  BERTH_TRY(const auto items, items_of(answer));
  std::vector<T> values;
  values.reserve(items.size());
  for (const auto& item : items) {
    BERTH_TRY(T value, read_answer<T>(item));
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace berth::app
