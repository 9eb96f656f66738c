#include "sources/hub/client.h"

#include "sources/hub/request.h"

#include <algorithm>

namespace berth::sources {

HubSettings with_end(HubSettings settings) {
  settings.http.end = std::min(settings.http.end, real_clock().steady_now() + settings.http.total);
  return settings;
}

Result<HubListing> list_repository(const HubName& name, const HubSettings& patient) {
  const HubSettings settings = with_end(patient);
  if (settings.offline) {
    return fail(
        about_source(ErrorCode::unavailable,
                     "{} is not asked about {}, because HF_HUB_OFFLINE is set; unset it, or "
                     "give the path of a model on this machine",
                     title_of(name.hub), to_text(name)));
  }
  switch (name.hub) {
    case Hub::model_scope:
      return list_model_scope(name, settings);
    case Hub::ollama:
      return list_ollama(name, settings);
    case Hub::hugging_face:
      break;
  }
  return list_hugging_face(name, settings);
}

HttpOptions http_options_for(const HubName& name, const HubSettings& settings) {
  HttpOptions options = settings.http;
  const std::string& token = settings.place_of(name.hub).token;
  switch (name.hub) {
    case Hub::hugging_face:
      options.bearer_token = token;
      options.explain = [name, settings](const HttpHead& head, bool has_secret) {
        return explain_hugging_face(name, settings, head, has_secret);
      };
      break;
    case Hub::model_scope:
      // Its own tools keep the token as the session's cookie.
      if (!token.empty()) options.secret_field = "Cookie: m_session_id=" + token;
      options.explain = [name, settings](const HttpHead& head, bool has_secret) {
        return explain_model_scope(name, settings, head, has_secret);
      };
      break;
    case Hub::ollama:
      options.explain = [name](const HttpHead& head, bool) { return explain_ollama(name, head); };
      break;
  }
  return options;
}

}  // namespace berth::sources
