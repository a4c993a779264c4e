"""The sources of models: folders, the store of downloads, the Hugging Face cache, the Hub."""
