# Files that travel inside the program. hac_embed(target function files...) gives the target
#   std::span<const EmbeddedFile> function();
# which a header of its own declares (engine/io/embedded.h): name without extension, and text.
# Run as a script it writes that source, because a file may hold semicolons.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(hac_embed_script ${CMAKE_CURRENT_LIST_FILE})
  function(hac_embed target function)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${function}.cpp)
    list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]" OUTPUT_VARIABLE files)
    add_custom_command(OUTPUT ${source} VERBATIM
      COMMAND ${CMAKE_COMMAND} "-DFILES=${files}" -DFUNCTION=${function} -DOUT=${source}
        -P ${hac_embed_script}
      DEPENDS ${files} ${hac_embed_script})
    target_sources(${target} PRIVATE ${source})
  endfunction()
  return()
endif()

set(entries "")
foreach(path ${FILES})
  get_filename_component(name ${path} NAME_WLE)
  file(READ ${path} text)
  string(APPEND entries "    {\"${name}\", R\"FILE(${text})FILE\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"engine/io/embedded.h\"\n\nnamespace hac {\n\n"
  "std::span<const EmbeddedFile> ${FUNCTION}() {\n"
  "  static constexpr EmbeddedFile all[] = {\n${entries}  };\n  return all;\n}\n\n"
  "}  // namespace hac\n")
