"""The web page: shows what the owners hold and sends what people answer; it keeps no state of its own."""
