"""Where models come from: folders, the store of downloads, the Hub."""
