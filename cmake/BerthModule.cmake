# berth_module(NAME [USES module...] [LIBS library...])
#
# Declares the module in src/NAME: every *.cpp below it is part of the library `berth_NAME`, every
# *_test.cpp part of the test program `berth_NAME_test`. Sources are globbed on purpose: a new test
# file can not be forgotten. USES is the complete list of modules that NAME may include;
# tests/structure/test_modules.py reads it here and fails on an include that is not covered.
function(berth_module name)
  cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(uses ${arg_USES})
  list(TRANSFORM uses PREPEND berth_)
  if(sources)
    add_library(berth_${name} STATIC ${sources})
    target_include_directories(berth_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(berth_${name} PUBLIC ${uses} ${arg_LIBS} PRIVATE berth_options)
  else()
    add_library(berth_${name} INTERFACE)
    target_include_directories(berth_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(berth_${name} INTERFACE ${uses} ${arg_LIBS})
  endif()
  if(BERTH_BUILD_TESTS AND tests)
    add_executable(berth_${name}_test ${tests})
    if(NOT TARGET unit_tests)
      add_custom_target(unit_tests)  # all of them, without the program
    endif()
    add_dependencies(unit_tests berth_${name}_test)
    target_link_libraries(berth_${name}_test PRIVATE berth_${name} berth_options berth_test_support)
    target_compile_definitions(berth_${name}_test PRIVATE BERTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    gtest_discover_tests(berth_${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 120)
  endif()
endfunction()
