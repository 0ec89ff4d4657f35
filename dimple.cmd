@echo off
rem The dimple command on Windows: finds a Java runtime of version 22 or newer and starts the command line, as the file "dimple" beside it does
rem elsewhere. DIMPLE_JAVA_HOME names a JDK to use; otherwise JAVA_HOME, PATH and the usual folders are searched. Builds when it was never built;
rem after a change of the sources, say "mvn -pl cli -am -DskipTests package". The library is DIMPLE_LIBRARY's, or this build's, or the one that
rem csrc/natives/build made on Linux in target\natives\windows-x86_64.
setlocal EnableExtensions DisableDelayedExpansion
set "root=%~dp0"
set minimum=22
set "archive=%root%cli\target\dimple.jar"
set "log=%root%target\dimple-build.log"
set chosen=
set last_seen=none

call :find_java java.exe
if not defined chosen exit /b 1
if not exist "%archive%" call :build
if not exist "%archive%" exit /b 1
call :find_library
"%chosen%\bin\java.exe" -Xlog:disable -XX:+UseSerialGC -XX:TieredStopAtLevel=1 %library% -jar "%archive%" %*
exit /b %ERRORLEVEL%

rem Sets chosen to the first folder that will do, one whose bin has the program %1.
:find_java
set chosen=
if not defined DIMPLE_JAVA_HOME goto search
call :consider "%DIMPLE_JAVA_HOME%" %1
if defined chosen exit /b
>&2 echo dimple: DIMPLE_JAVA_HOME=%DIMPLE_JAVA_HOME% is not a JDK of version %minimum% or newer, found: %version%
exit /b
:search
set on_path=
for %%P in (java.exe) do set "on_path=%%~dp$PATH:P"
if defined JAVA_HOME call :consider "%JAVA_HOME%" %1
if defined on_path call :consider "%on_path%.." %1
for /d %%D in ("%ProgramFiles%\Eclipse Adoptium\*") do call :consider "%%~D" %1
for /d %%D in ("%ProgramFiles%\Java\*") do call :consider "%%~D" %1
for /d %%D in ("%ProgramFiles%\Microsoft\*") do call :consider "%%~D" %1
for /d %%D in ("%ProgramFiles%\Amazon Corretto\*") do call :consider "%%~D" %1
for /d %%D in ("%ProgramFiles%\BellSoft\*") do call :consider "%%~D" %1
for /d %%D in ("%ProgramFiles%\Zulu\*") do call :consider "%%~D" %1
for /d %%D in ("%LOCALAPPDATA%\Programs\Eclipse Adoptium\*") do call :consider "%%~D" %1
for /d %%D in ("%USERPROFILE%\.jdks\*") do call :consider "%%~D" %1
if defined chosen exit /b
>&2 echo dimple: needs a JDK of version %minimum% or newer, and found none in JAVA_HOME, PATH or the usual folders; last seen: %last_seen%.
>&2 echo Install one, for example Eclipse Temurin 25, and name it with DIMPLE_JAVA_HOME if it is in an unusual place.
exit /b

rem Takes folder %1 for chosen unless there is one. Its file "release" says the version without starting it.
:consider
set version=none
if defined chosen exit /b
if not exist "%~1\bin\%2" exit /b
if not exist "%~1\release" exit /b
for /f "usebackq tokens=1,2 delims==" %%A in ("%~1\release") do if "%%A"=="JAVA_VERSION" set "version=%%~B"
for /f "delims=.-+_" %%V in ("%version%") do set "version=%%V"
if "%version%"=="none" exit /b
set "last_seen=%version% in %~1"
if %version% GEQ %minimum% set "chosen=%~1"
exit /b

:find_library
set library=
for %%L in ("%root%target\natives\windows-x86_64\dimple.dll" "%root%bindings\target\csrc\dimple.dll") do if exist "%%~L" set library="-Ddimple.library=%%~L"
if defined DIMPLE_LIBRARY set library="-Ddimple.library=%DIMPLE_LIBRARY%"
exit /b

:build
call :find_java javac.exe
if not defined chosen exit /b
set missing=
for %%T in (mvn.cmd cmake.exe ninja.exe gcc.exe) do if "%%~$PATH:T"=="" call :lacks %%T
if defined missing exit /b
>&2 echo dimple: building with Maven and CMake; this takes a minute or two. Log: %log%
if not exist "%root%target" mkdir "%root%target"
setlocal
set "JAVA_HOME=%chosen%"
call mvn.cmd -B -q -ntp -f "%root%pom.xml" -pl cli -am -DskipTests -Dmaven.test.skip=true package <nul >"%log%" 2>&1
set status=%ERRORLEVEL%
endlocal & set status=%status%
if %status% NEQ 0 >&2 echo dimple: the build failed; see %log%
exit /b

:lacks
set missing=%1
>&2 echo dimple: building needs %1, which is not on the PATH. gcc is MinGW-w64's.
exit /b
