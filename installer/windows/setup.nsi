; The set-up for Windows, from the frozen folder: installer/windows/setup.sh FROZEN VERSION OUT [STUB]
;
; For one person by default, without more rights; for everybody by choice, and only then it asks for them.
; Silent: /S, with /AllUsers, /Autostart, /Firewall, /Wait=SECONDS (for running tasks; 300), /D=FOLDER (last).
; The uninstaller: /S keeps what the person's own folders hold, /S /DeleteData does not; /Wait=SECONDS (60).
; Exit codes: 0 done, 1 left by the reader, 2 not installed (the old version is as it was), 4 tasks still run.
Unicode true
!ifdef STUB
  Target ${STUB}
!endif
!include MUI2.nsh
!include nsDialogs.nsh
!include FileFunc.nsh
!include LogicLib.nsh
!include x64.nsh

!define NAME "HiveMind Worker"
!define KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\${NAME}"
!define RUN_KEY "Software\Microsoft\Windows\CurrentVersion\Run"
!define RULE "${NAME} (VPN)"
!define VPN_INTERFACE "hivemind0"
!define TOOL "$INSTDIR\hivemind-worker.exe"
!define APP "$INSTDIR\${NAME}.exe"
; By its whole path: by name alone, one that lies beside this set-up (in Downloads) would be started with its rights.
!define POWERSHELL "$SYSDIR\WindowsPowerShell\v1.0\powershell.exe"

Name "${NAME}"
OutFile "${OUT}"
Icon "${ICON}"
UninstallIcon "${ICON}"
!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
RequestExecutionLevel user
ManifestSupportedOS Win10
ManifestDPIAware true
BrandingText "${NAME} ${VERSION}"
InstallDir ""
VIProductVersion "${NUMBERS}"
VIFileVersion "${NUMBERS}"
VIAddVersionKey "ProductName" "${NAME}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "Set-up of ${NAME}"
VIAddVersionKey "LegalCopyright" "Apache-2.0"

Var Everybody   ; 1: for all users of the computer
Var Autostart
Var Firewall
Var WaitS
Var WasUp
Var DeleteData
Var RadioAll
Var BoxAutostart
Var BoxFirewall

!define MUI_ABORTWARNING
!insertmacro MUI_PAGE_WELCOME
Page custom ChoicesShow ChoicesLeave
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!define MUI_FINISHPAGE_RUN "${APP}"
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE English
!insertmacro MUI_LANGUAGE TradChinese

LangString WHO ${LANG_ENGLISH} "Who is it for?"
LangString WHO ${LANG_TRADCHINESE} "要安裝給誰？"
LangString WHO_ME ${LANG_ENGLISH} "Only for me"
LangString WHO_ME ${LANG_TRADCHINESE} "只給我自己"
LangString WHO_ALL ${LANG_ENGLISH} "For everybody on this computer (asks for an administrator)"
LangString WHO_ALL ${LANG_TRADCHINESE} "給這台電腦的所有人（需要系統管理員）"
LangString START_IT ${LANG_ENGLISH} "Start it in the tray when I sign in"
LangString START_IT ${LANG_TRADCHINESE} "我登入時在系統匣中啟動"
LangString OPEN_IT ${LANG_ENGLISH} "Let the pool reach it through the VPN, and only through that (asks for an administrator)"
LangString OPEN_IT ${LANG_TRADCHINESE} "讓任務池透過 VPN 連到它，而且只能透過 VPN（需要系統管理員）"
LangString RUNS ${LANG_ENGLISH} "${NAME} is running. It takes no new task from now on.$\n$\nYes: wait until its tasks have ended. No: leave everything as it is."
LangString RUNS ${LANG_TRADCHINESE} "${NAME} 正在執行，從現在起不再接新任務。$\n$\n是：等任務結束。否：一切保持原樣。"
LangString STILL ${LANG_ENGLISH} "Its tasks have not ended. Nothing was changed; try again later."
LangString STILL ${LANG_TRADCHINESE} "任務還沒結束。沒有任何變更，請稍後再試。"
LangString IN_USE ${LANG_ENGLISH} "Files of the old version are in use. Nothing was changed; close ${NAME} and try again."
LangString IN_USE ${LANG_TRADCHINESE} "舊版本的檔案正在使用中。沒有任何變更，請關閉 ${NAME} 後再試。"
LangString DATA ${LANG_ENGLISH} "Delete your settings, tasks and results too?$\n$\nNo keeps them for a later installation."
LangString DATA ${LANG_TRADCHINESE} "也要刪除您的設定、任務和結果嗎？$\n$\n選「否」會保留到下次安裝。"

; --- who, and where ---------------------------------------------------------------------------

!macro UseContext
  ${If} $Everybody == 1
    SetShellVarContext all
  ${Else}
    SetShellVarContext current
  ${EndIf}
!macroend

!macro WriteKey KIND ROOT_KEY VALUE DATA
  ${If} $Everybody == 1
    WriteReg${KIND} HKLM "${ROOT_KEY}" "${VALUE}" `${DATA}`
  ${Else}
    WriteReg${KIND} HKCU "${ROOT_KEY}" "${VALUE}" `${DATA}`
  ${EndIf}
!macroend

Function .onInit
  ${IfNot} ${RunningX64}
    MessageBox MB_OK|MB_ICONSTOP "64-bit Windows is needed." /SD IDOK
    SetErrorLevel 2
    Quit
  ${EndIf}
  SetRegView 64
  StrCpy $WaitS 300
  ${GetParameters} $R0
  ClearErrors
  ${GetOptions} $R0 "/AllUsers" $R1
  ${IfNot} ${Errors}
    StrCpy $Everybody 1
  ${EndIf}
  ClearErrors
  ${GetOptions} $R0 "/Autostart" $R1
  ${IfNot} ${Errors}
    StrCpy $Autostart 1
  ${EndIf}
  ClearErrors
  ${GetOptions} $R0 "/Firewall" $R1
  ${IfNot} ${Errors}
    StrCpy $Firewall 1
  ${EndIf}
  ClearErrors
  ${GetOptions} $R0 "/Wait=" $R1
  ${IfNot} ${Errors}
    StrCpy $WaitS $R1
  ${EndIf}
  Call FindPlace
FunctionEnd

; Where it is installed already, else the usual folder; /D= comes first.
Function FindPlace
  !insertmacro UseContext
  ${If} $INSTDIR == ""
    ${If} $Everybody == 1
      ReadRegStr $INSTDIR HKLM "${KEY}" "InstallLocation"
      ${If} $INSTDIR == ""
        StrCpy $INSTDIR "$PROGRAMFILES64\${NAME}"
      ${EndIf}
    ${Else}
      ReadRegStr $INSTDIR HKCU "${KEY}" "InstallLocation"
      ${If} $INSTDIR == ""
        StrCpy $INSTDIR "$LOCALAPPDATA\Programs\${NAME}"
      ${EndIf}
    ${EndIf}
  ${EndIf}
FunctionEnd

Function ChoicesShow
  !insertmacro MUI_HEADER_TEXT "$(WHO)" ""
  nsDialogs::Create 1018
  Pop $0
  ${NSD_CreateRadioButton} 0 0 100% 14u "$(WHO_ME)"
  Pop $0
  ${NSD_Check} $0
  ${NSD_CreateRadioButton} 0 18u 100% 14u "$(WHO_ALL)"
  Pop $RadioAll
  ${NSD_CreateCheckBox} 0 48u 100% 14u "$(START_IT)"
  Pop $BoxAutostart
  ${NSD_CreateCheckBox} 0 66u 100% 20u "$(OPEN_IT)"
  Pop $BoxFirewall
  nsDialogs::Show
FunctionEnd

; For everybody: this set-up starts anew as administrator, with the same choices.
Function ChoicesLeave
  ${NSD_GetState} $BoxAutostart $Autostart
  ${NSD_GetState} $BoxFirewall $Firewall
  ${NSD_GetState} $RadioAll $0
  ${If} $0 == ${BST_CHECKED}
  ${AndIf} $Everybody != 1
    StrCpy $R0 "/AllUsers"
    ${If} $Autostart == 1
      StrCpy $R0 "$R0 /Autostart"
    ${EndIf}
    ${If} $Firewall == 1
      StrCpy $R0 "$R0 /Firewall"
    ${EndIf}
    ClearErrors
    ExecShell "runas" "$EXEPATH" "$R0"
    ${IfNot} ${Errors}
      Quit
    ${EndIf}
    Abort
  ${EndIf}
FunctionEnd

; --- a worker that runs -----------------------------------------------------------------------

; Pushes 1 when a worker of the installed version runs.
!macro DefineWorker UN
Function ${UN}IsUp
  StrCpy $0 0
  ${If} ${FileExists} "${TOOL}"
    nsExec::Exec '"${TOOL}" status --json'
    Pop $1
    ${If} $1 == 0
      StrCpy $0 1
    ${EndIf}
  ${EndIf}
FunctionEnd

; Has it finish its tasks and end, for $WaitS seconds at most; $0 is 1 where it still runs then, and goes on.
Function ${UN}EndWorker
  nsExec::Exec '"${TOOL}" finish --quit'
  Pop $1
  StrCpy $2 0
  ${Do}
    Call ${UN}IsUp
    ${If} $0 == 0
    ${OrIf} $2 >= $WaitS
      ${ExitDo}
    ${EndIf}
    Sleep 1000
    IntOp $2 $2 + 1
  ${Loop}
  ${If} $0 == 1
    nsExec::Exec '"${TOOL}" resume'
    Pop $1
  ${EndIf}
FunctionEnd
!macroend
!insertmacro DefineWorker ""
!insertmacro DefineWorker "un."

!macro StepAside PART
  RMDir /r "$INSTDIR\${PART}.old"
  Delete "$INSTDIR\${PART}.old"
  ; A program that has just ended, or one that a scanner looks at, is let go of a moment later.
  StrCpy $R8 0
  ${DoWhile} ${FileExists} "$INSTDIR\${PART}"
    ClearErrors
    Rename "$INSTDIR\${PART}" "$INSTDIR\${PART}.old"
    ${If} $R8 >= 20
      StrCpy $R9 1
      ${ExitDo}
    ${EndIf}
    ${If} ${Errors}
      Sleep 250
    ${EndIf}
    IntOp $R8 $R8 + 1
  ${Loop}
!macroend

!macro StepBack PART
  ${If} ${FileExists} "$INSTDIR\${PART}.old"
    Rename "$INSTDIR\${PART}.old" "$INSTDIR\${PART}"
  ${EndIf}
!macroend

Function ComeBack
  !insertmacro StepBack "_internal"
  !insertmacro StepBack "hivemind-worker.exe"
  !insertmacro StepBack "${NAME}.exe"
FunctionEnd

Section "Install"
  Call IsUp
  StrCpy $WasUp $0
  ${If} $WasUp == 1
    MessageBox MB_YESNO|MB_ICONQUESTION "$(RUNS)" /SD IDYES IDYES +3
    SetErrorLevel 1
    Quit
    Call EndWorker
    ${If} $0 == 1
      MessageBox MB_OK|MB_ICONINFORMATION "$(STILL)" /SD IDOK
      SetErrorLevel 4
      Quit
    ${EndIf}
  ${EndIf}
  SetRegView 64
  !insertmacro UseContext

  ; The old version steps aside, and comes back where the new one cannot be written. Each of its parts by name:
  ; the folder may be one with other things in it.
  StrCpy $R9 0
  !insertmacro StepAside "_internal"
  !insertmacro StepAside "hivemind-worker.exe"
  !insertmacro StepAside "${NAME}.exe"
  ${If} $R9 == 1
    Call ComeBack
    MessageBox MB_OK|MB_ICONSTOP "$(IN_USE)" /SD IDOK
    SetErrorLevel 2
    Quit
  ${EndIf}
  ClearErrors
  SetOutPath "$INSTDIR"
  File /r "${FROZEN}\*.*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  ${If} ${Errors}
    SetOutPath "$TEMP"
    RMDir /r "$INSTDIR\_internal"
    Delete "${TOOL}"
    Delete "${APP}"
    Call ComeBack
    SetErrorLevel 2
    Abort
  ${EndIf}
  RMDir /r "$INSTDIR\_internal.old"
  Delete "${TOOL}.old"
  Delete "${APP}.old"

  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "${APP}" "gui"
  !insertmacro WriteKey Str "${KEY}" "DisplayName" "${NAME}"
  !insertmacro WriteKey Str "${KEY}" "DisplayVersion" "${VERSION}"
  !insertmacro WriteKey Str "${KEY}" "DisplayIcon" "${APP}"
  !insertmacro WriteKey Str "${KEY}" "Publisher" "The HiveMind Worker developers"
  !insertmacro WriteKey Str "${KEY}" "InstallLocation" "$INSTDIR"
  !insertmacro WriteKey Str "${KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  !insertmacro WriteKey Str "${KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  !insertmacro WriteKey DWORD "${KEY}" "NoModify" 1
  !insertmacro WriteKey DWORD "${KEY}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  !insertmacro WriteKey DWORD "${KEY}" "EstimatedSize" $0
  ${If} $Everybody == 1
    WriteRegDWORD HKLM "${KEY}" "ForEverybody" 1
  ${EndIf}
  ${If} $Autostart == 1
    WriteRegStr HKCU "${RUN_KEY}" "${NAME}" '"${APP}" gui --hidden'
  ${EndIf}
  ${If} $Firewall == 1
    Call OpenFirewall
  ${EndIf}
  ${If} $WasUp == 1
    Exec '"${APP}" gui --hidden'
  ${EndIf}
SectionEnd

; One rule, for this program, for calls that come in through the VPN's interface.
Function OpenFirewall
  StrCpy $R0 "Remove-NetFirewallRule -DisplayName '${RULE}' -ErrorAction SilentlyContinue; New-NetFirewallRule -DisplayName '${RULE}' -Direction Inbound -Action Allow -Protocol TCP -InterfaceAlias '${VPN_INTERFACE}' -Program '${APP}'; New-NetFirewallRule -DisplayName '${RULE}' -Direction Inbound -Action Allow -Protocol TCP -InterfaceAlias '${VPN_INTERFACE}' -Program '${TOOL}'"
  ${If} $Everybody == 1
    nsExec::Exec '"${POWERSHELL}" -NoProfile -NonInteractive -Command "$R0"'
    Pop $0
  ${Else}
    ExecShell "runas" "${POWERSHELL}" '-NoProfile -NonInteractive -WindowStyle Hidden -Command "$R0"' SW_HIDE
  ${EndIf}
  !insertmacro WriteKey DWORD "${KEY}" "Firewall" 1
FunctionEnd

; --- away again -------------------------------------------------------------------------------

Function un.onInit
  SetRegView 64
  StrCpy $WaitS 60
  ReadRegDWORD $0 HKLM "${KEY}" "ForEverybody"
  ReadRegStr $1 HKLM "${KEY}" "InstallLocation"
  ${If} $0 == 1
  ${AndIf} $1 == $INSTDIR
    StrCpy $Everybody 1
  ${EndIf}
  ${GetParameters} $R0
  ClearErrors
  ${GetOptions} $R0 "/DeleteData" $R1
  ${IfNot} ${Errors}
    StrCpy $DeleteData 1
  ${EndIf}
  ClearErrors
  ${GetOptions} $R0 "/Wait=" $R1
  ${IfNot} ${Errors}
    StrCpy $WaitS $R1
  ${EndIf}
FunctionEnd

Section "Uninstall"
  SetRegView 64
  !insertmacro UseContext
  Call un.IsUp
  ${If} $0 == 1
    Call un.EndWorker
    ${If} $0 == 1
      MessageBox MB_OK|MB_ICONINFORMATION "$(STILL)" /SD IDOK
      SetErrorLevel 4
      Quit
    ${EndIf}
  ${EndIf}
  ${If} $DeleteData != 1
    MessageBox MB_YESNO|MB_ICONQUESTION|MB_DEFBUTTON2 "$(DATA)" /SD IDNO IDNO +2
    StrCpy $DeleteData 1
  ${EndIf}

  Delete "$SMPROGRAMS\${NAME}.lnk"
  ; The person may have switched it on in the app as well: it starts what is gone now.
  DeleteRegValue HKCU "${RUN_KEY}" "${NAME}"
  ${If} $Everybody == 1
    ReadRegDWORD $0 HKLM "${KEY}" "Firewall"
    DeleteRegKey HKLM "${KEY}"
  ${Else}
    ReadRegDWORD $0 HKCU "${KEY}" "Firewall"
    DeleteRegKey HKCU "${KEY}"
  ${EndIf}
  ${If} $0 == 1
    StrCpy $R0 "Remove-NetFirewallRule -DisplayName '${RULE}'"
    ExecShell "runas" "${POWERSHELL}" '-NoProfile -NonInteractive -WindowStyle Hidden -Command "$R0"' SW_HIDE
  ${EndIf}
  ; What was put there, by name: the folder may have been one with other things in it.
  RMDir /r "$INSTDIR\_internal"
  RMDir /r "$INSTDIR\licences"
  Delete "$INSTDIR\sbom.cdx.json"
  Delete "$INSTDIR\LICENSE"
  Delete "$INSTDIR\NOTICE"
  Delete "${APP}"
  Delete "${TOOL}"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  ${If} $DeleteData == 1
    SetShellVarContext current
    RMDir /r "$LOCALAPPDATA\${NAME}"
  ${EndIf}
SectionEnd
