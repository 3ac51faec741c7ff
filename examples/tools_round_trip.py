"""A tool is asked for by the model, run by the application, and its result given back."""

from multimodel import Client, Message


def weather(city: str, unit: str = "celsius") -> str:
    """Tell the weather in a city."""
    return f"21 degrees {unit} and sunny in {city}"


TOOLS = {"weather": weather}

with Client() as client:
    conversation = [Message(role="user", content="What is the weather in Hangzhou?")]
    answer = client.complete("chat", conversation, tools=list(TOOLS.values()))
    while answer.finish_reason == "tool_calls":
        conversation.append(answer.message)
        for call in answer.tool_calls:
            print(f"{answer.target} asks for {call.name}({call.arguments})")
            result = TOOLS[call.name](**call.parsed)  # only what is in TOOLS can run, and only here
            conversation.append(Message(role="tool", tool_call_id=call.id, content=result))
        answer = client.complete("chat", conversation, tools=list(TOOLS.values()))
    print(answer.text)
