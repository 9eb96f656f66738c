#include "schedule/rejection.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace berth::schedule {
namespace {

constexpr std::size_t kNamed = 5;  // workers named on a line

std::string with_context(const Rejection& rejection, std::string text) {
  if (rejection.fitting_context) {
    text +=
        fmt::format("; would fit with {} {}", rejection.context_flag, *rejection.fitting_context);
  }
  return text;
}

std::string or_else(const std::string& text, std::string_view fallback) {
  return text.empty() ? std::string(fallback) : text;
}

}  // namespace

std::string explain(const Rejection& rejection) {
  const auto& r = rejection;
  switch (r.code) {
    case RejectionCode::no_workers:
      return "no worker has joined yet";
    case RejectionCode::invalid_request:
      return or_else(r.detail, "the deployment can not be met");
    case RejectionCode::not_wanted:
      return "other workers were asked for";
    case RejectionCode::worker_not_ready:
      return "not ready: " + or_else(r.detail, "no reason given");
    case RejectionCode::failed_there:
      return "it failed there too often";
    case RejectionCode::cordoned:
      return "cordoned";
    case RejectionCode::label_mismatch:
      return "lacks the label " + r.detail;
    case RejectionCode::platform:
      return r.detail + " is not a platform of the backend";
    case RejectionCode::no_pack:
      return or_else(r.detail, "has no engine pack for the backend");
    case RejectionCode::pack_lacks:
      return r.detail;
    case RejectionCode::unknown_device:
      return fmt::format("has no device {}", r.device);
    case RejectionCode::device_unusable:
      return fmt::format("no engine pack can use {}{}", r.device,
                         r.detail.empty() ? "" : "; " + r.detail);
    case RejectionCode::offload_not_allowed:
      return or_else(r.detail, "the CPU would have to compute layers, and cpu_offload is never");
    case RejectionCode::rank_memory:
      return with_context(r, fmt::format("{}needs {} and may take {} of {}",
                                         r.detail.empty() ? "" : r.detail + " each ", r.needed,
                                         r.available, r.device));
    case RejectionCode::device_taken:
      return fmt::format("takes {} of {}, which has {} free{}", r.needed, r.device, r.available,
                         r.detail.empty() ? "" : "; " + r.detail);
    case RejectionCode::device_memory:
      return with_context(
          r, fmt::format("needs {} on {}, {} has {}", r.needed,
                         r.detail.empty() ? "one device" : r.detail, r.device, r.available));
    case RejectionCode::no_layer_fits:
      return with_context(r, fmt::format("needs {} for even one layer, {} has {}", r.needed,
                                         r.device, r.available));
    case RejectionCode::host_memory:
      return with_context(
          r, fmt::format("needs {} of the machine's memory, has {}", r.needed, r.available));
    case RejectionCode::no_layout:
      return or_else(r.detail, "its devices can not share the layers in the way asked for");
    case RejectionCode::cpu_when_full:
      return "its devices are full; cpu_offload: only, or cpu_when_full, would run it on the CPU";
    case RejectionCode::no_estimate:
      return "its memory is not known: " + r.detail;
  }
  return r.detail;
}

std::string explain(const Rejections& rejections) {
  // In the order of first appearance: a worker's reasons, then the workers that share them.
  std::vector<std::pair<std::string_view, std::string>> by_worker;
  std::unordered_map<std::string_view, std::size_t> places;
  for (const auto& rejection : rejections) {
    const auto [place, is_first] = places.try_emplace(rejection.worker, by_worker.size());
    if (is_first) {
      by_worker.emplace_back(rejection.worker, explain(rejection));
      continue;
    }
    auto& said = by_worker[place->second].second;
    if (auto text = explain(rejection); said.find(text) == std::string::npos) said += "; " + text;
  }
  std::vector<std::pair<std::string_view, std::vector<std::string_view>>> lines;
  places.clear();
  for (const auto& [worker, text] : by_worker) {
    const auto [place, is_first] = places.try_emplace(text, lines.size());
    if (is_first)
      lines.push_back({text, {worker}});
    else
      lines[place->second].second.push_back(worker);
  }
  std::string out;
  for (const auto& [text, workers] : lines) {
    if (!out.empty()) out += '\n';
    if (workers.size() == 1 && workers.front().empty()) {
      out += text;
      continue;
    }
    const auto named = std::min(workers.size(), kNamed);
    out += workers.size() == 1 ? "worker " : "workers ";
    out += fmt::format("{}", fmt::join(workers.begin(),
                                       workers.begin() + static_cast<std::ptrdiff_t>(named), ", "));
    if (workers.size() > named) out += fmt::format(" and {} more", workers.size() - named);
    out += fmt::format(": {}", text);
  }
  return out;
}

}  // namespace berth::schedule
