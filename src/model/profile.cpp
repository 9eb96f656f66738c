#include "model/profile.h"

namespace berth::model {

ModelProfile renamed(ModelProfile profile,
                     const std::function<std::string(const std::string&)>& rename) {
  for (auto& file : profile.files) file.path = rename(file.path);
  for (auto& part : profile.parts) {
    for (auto& file : part.files) file.path = rename(file.path);
  }
  for (auto& projector : profile.projectors) projector.path = rename(projector.path);
  return profile;
}

}  // namespace berth::model
