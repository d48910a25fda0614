self.onmessage = () => self.postMessage("ready");
