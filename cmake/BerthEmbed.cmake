# berth_embed_engines(TARGET)
#
# Makes the descriptors, launchers and lock files under engines/ part of TARGET, so that one program
# file is all that an installation of Berth needs. Read with engines/embedded.h.
function(berth_embed_engines target)
  set(folder ${CMAKE_SOURCE_DIR}/engines)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/embedded_engines.cpp)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS
    ${folder}/*.toml ${folder}/*.py ${folder}/*.lock ${folder}/*/judge/*)
  list(FILTER files EXCLUDE REGEX "/(tests?/|test_|conftest|\\.)|_test\\.py$")
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} "-DFOLDER=${folder}" "-DOUTPUT=${generated}" "-DFILES=${files}"
            -P ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake
    COMMENT "Embedding engines/"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()
