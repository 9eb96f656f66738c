// Rerank: requests and answers as Jina ("/v1/rerank") and Cohere ("/v1/rerank", "/v2/rerank") have
// them. Both ask the same; an answer at /v1 has the fields of both, as the path is the same.
#pragma once

#include "gateway/portions.h"

#include <memory>

namespace berth::gateway {

// Read "model", "query", "documents" (texts, or objects with "text"), "top_n", "return_documents"
// and, of our own, "normalize": scores from 0 to 1 unless it is false. Fail with invalid_parameter
// naming the field, also for those of Cohere that would change the scores and no engine knows.
// Jina gives the documents back unless told not to, Cohere when told to.
Result<std::unique_ptr<Portions>> read_jina_rerank(json::object body);
Result<std::unique_ptr<Portions>> read_cohere_rerank(json::object body);

}  // namespace berth::gateway
