"""The browser's part in three engines: Chromium, Firefox and WebKit, over https."""
