; A stand-in for the program, for tests of the set-up: tells on a log what it was called with, and plays a worker
; that runs as long as the file "up" is there and whose tasks end unless there is a file "busy".
Unicode true
!ifdef STUB
  Target ${STUB}
!endif
!include FileFunc.nsh
!include LogicLib.nsh
Name "stand-in"
OutFile "${OUT}"
RequestExecutionLevel user
SilentInstall silent
Section
  ${GetParameters} $R0
  FileOpen $1 "${SCENE}\calls.log" a
  FileSeek $1 0 END
  FileWrite $1 "${WHO}: $R0$\r$\n"
  FileClose $1
  SetErrorLevel 3
  ${If} $R0 == "status --json"
  ${AndIf} ${FileExists} "${SCENE}\up"
    SetErrorLevel 0
  ${ElseIf} $R0 == "finish --quit"
    SetErrorLevel 0
    ${IfNot} ${FileExists} "${SCENE}\busy"
      Delete "${SCENE}\up"
    ${EndIf}
  ${EndIf}
SectionEnd
